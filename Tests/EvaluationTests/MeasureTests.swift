import Evaluation
import Platform
import Testing

@Suite struct MeasureTests {
  @Test(arguments: [
    ("RR", "RR"), ("RR@10", "RR@10"), ("MRR@10", "RR@10"), ("RR(rel=2)@10", "RR(rel=2)@10"),
    ("nDCG", "nDCG"), ("NDCG@5", "nDCG@5"), ("nDCG(dcg='exp-log2')@10", "nDCG(dcg='exp-log2')@10"),
    ("nDCG(dcg=log2)@3", "nDCG@3"), ("AP", "AP"), ("MAP@1000", "AP@1000"),
    ("AP(rel=2)@1000", "AP(rel=2)@1000"), ("R@1000", "R@1000"),
    ("Recall( rel = 3 )@5", "R(rel=3)@5"),
    ("P@5", "P@5"), ("Precision@5", "P@5"), ("Success@1", "Success@1"), ("Judged@10", "Judged@10"),
    ("Judged", "Judged"), ("Rprec", "Rprec"), ("RPrec(rel=2)", "Rprec(rel=2)"), ("Bpref", "Bpref"),
    ("NumRet", "NumRet"), ("NumRet(rel=1)", "NumRet(rel=1)"), ("NumRel", "NumRel"),
    ("NumQ", "NumQ"),
  ])
  func `names parse and print in ir_measures' spelling`(name: String, canonical: String) throws {
    let measure = try Measure(name)
    #expect("\(measure)" == canonical)
    #expect(try Measure("\(measure)") == measure)
    #expect(Measure.looksLikeMeasure(name))
  }

  @Test(arguments: [
    "", "@10", "rr@10", "ERR@10", "RR@", "RR@0", "RR@-1", "RR@ten", "RR@99999999999", "RR@10x",
    "RR@1.5", "RR(rel=2", "RR(rel=0)", "RR(rel)", "RR(level=2)", "RR rel=2", "R", "P", "Success",
    "Rprec@5", "NumQ@5", "nDCG(rel=2)@10", "nDCG(dcg='ln')@10", "RR(dcg='log2')", "NumQ(rel=1)",
    "RR)@10",
  ])
  func `what is no measure is a usage error that names it`(name: String) throws {
    let error = try #require(throws: RetortError.self) { try Measure(name) }
    #expect(error.code == .usage)
    #expect(error.description.contains("measure \"\(name)\""))
  }

  @Test func `file names do not look like measures`() {
    for name in ["run.trec", "RR.txt", "R", "-", "P5", "qrels", "runs/AP@10"] {
      #expect(Measure.looksLikeMeasure(name) == (name == "R"))
    }
  }
}
