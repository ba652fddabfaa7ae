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

// The same of degree 7 over 2|x|/3.85 − 1 on 0...3.85, for products that round to bf16 or codes before
// and after: a code's step is a hundredfold of the largest error, 1.3e-4.
enum { GELU_SHORT_TERMS = 8 };
#define GELU_SHORT_END 3.85f

static const float gelu_erf_short_terms[GELU_SHORT_TERMS] = {
    -0.0691504404f, 0.0621128455f, 0.195365399f,  -0.315077424f,
    0.0544167943f,  0.200834215f,  -0.180520564f, 0.0521190241f};

static const float gelu_tanh_short_terms[GELU_SHORT_TERMS] = {
    -0.0666775554f, 0.0613106489f, 0.189376533f,  -0.313482404f,
    0.059411563f,   0.200039834f,  -0.182040229f, 0.0520793088f};

#endif
