// h of both forms of GELU as polynomials of degree 16; see activation_lanes.h.
#ifndef GELU_TERMS_H
#define GELU_TERMS_H

enum { GELU_TERMS = 17 };

// Largest error in f32 arithmetic: 2.1e-7.
static const float gelu_erf_terms[GELU_TERMS] = {
    -0.0156969205f, -0.000522047339f, 0.0989243686f, -0.0374604091f, -0.256906211f, 0.232402071f,
    0.272212535f,   -0.545276403f,    0.151383862f,  0.459697336f,   -0.628322899f, 0.260418266f,
    0.178947583f,   -0.308680892f,    0.191263378f,  -0.0605779812f, 0.0081943702f};

// Largest error in f32 arithmetic: 3.1e-7.
static const float gelu_tanh_terms[GELU_TERMS] = {
    -0.004344719f, -0.0119909029f, 0.0465966575f, 0.0215335861f, -0.160153031f, 0.102393888f,
    0.187284663f,  -0.387241542f,  0.174678683f,  0.34731546f,   -0.608925998f, 0.305160314f,
    0.160255134f,  -0.316808462f,  0.196885571f,  -0.060362529f, 0.00772307953f};

// The same of degree 10 over |x|/2.25 − 1 on 0...4.5, for products that round to bf16 or codes before and
// after. Largest error: 1.5e-5.
enum { GELU_SHORT_TERMS = 11 };

static const float gelu_erf_short_terms[GELU_SHORT_TERMS] = {
    -0.0425870344f, 0.021782713f, 0.176380977f,  -0.176315516f, -0.204907656f, 0.43478173f,
    -0.202968165f,  -0.147215903f, 0.246592388f, -0.133039504f, 0.0274971332f};

static const float gelu_tanh_short_terms[GELU_SHORT_TERMS] = {
    -0.0383594558f, 0.0186478719f, 0.162578568f, -0.166036397f, -0.187765047f, 0.421987861f,
    -0.2129682f,    -0.139962271f, 0.249319896f, -0.134648904f, 0.0271968078f};

#endif
