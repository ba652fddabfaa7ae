import Graph
import Platform
import Store
import Terms

/// What an index will take, before it is built.
///
/// Vectors, codes and tables follow from the layout; links and texts are estimated from what real
/// collections took (within some 10% of the whole), times from one machine.
public struct IndexEstimate: Sendable, Codable, Equatable {
  /// What is asked about.
  public var passages, dimension, m, efConstruction, textBytes: Int
  /// Bytes on disk by file.
  public var vectors, graph, texts, terms: Int
  /// Bytes on disk of the words' inverted file; 0 for an index that is not searched by words.
  public var words: Int
  /// Bytes on disk; while passages are encoded, their vectors and texts are there twice.
  public var disk, diskWhileBuilding: Int
  /// Bytes of memory while the index is built, without the encoder.
  public var memoryWhileBuilding: Int
  /// Bytes of memory that searches use once they have touched every part: anonymous, and of mapped
  /// files, which the operating system takes back when it needs them.
  public var searchMemory, searchMappings: Int
  /// Seconds of one thread to link the graph, as on an AMD EPYC of the Zen 3 generation.
  public var graphSeconds: Double

  /// The estimate for `passages` vectors of `dimension` components.
  ///
  /// - Parameters:
  ///   - textBytes: UTF-8 bytes of a text in the mean; 0 for vectors without texts.
  ///   - lexical: whether the index is to be searched by words, too.
  ///   - tokens: tokens of a passage in the mean whose vectors are stored.
  /// - Throws: `.usage` for numbers that no index can have.
  public init(
    passages: Int, dimension: Int, m: Int = 16, efConstruction: Int = 200, textBytes: Int = 400,
    lexical: Bool = false, terms tokens: Int = 0, termDimension: Int = 128,
    termCodec: TermCodec = .residual2
  ) throws(RetortError) {
    try HNSWParameters(m: m, efConstruction: efConstruction).validate()
    guard (1..<(1 << 31)).contains(passages) else {
      throw RetortError(
        .usage,
        "\(passages) passages: a segment holds 1 to 2147483647; split the corpus into shards")
    }
    guard (1...65_536).contains(dimension) else {
      throw RetortError(.usage, "the dimension is \(dimension) but must lie in 1...65536")
    }
    guard (0...(1 << 20)).contains(textBytes) else {
      throw RetortError(.usage, "texts of \(textBytes) bytes: must lie in 0...1048576")
    }
    guard !lexical || textBytes > 0 else {
      throw RetortError(.usage, "words are those of texts; without texts leave --lexical out")
    }
    self.passages = passages
    self.dimension = dimension
    self.m = m
    self.efConstruction = efConstruction
    self.textBytes = textBytes
    let count = Double(passages)
    let bits = max(1, log2(count + 1))
    let links = min(1.6 * Double(m), max(count - 1, 0))
    let isCoded =
      passages >= HNSWParameters.fewestCodes
      && HNSWParameters.codedDimensions.contains(dimension)
    let codeBlocks = HNSWParameters().codeBlocks(dimension: dimension)
    let code = isCoded ? Double(CodeBook.stride(blocks: codeBlocks, metric: .innerProduct)) : 0

    vectors = passages * dimension * 4 + Self.header
    // 11 to 12.5 of 16.6 bits on 100,000 nodes; nodes of upper layers are a share of 1/(m − 1).
    let linkBits = max(bits - 4.6, 4)
    let upper = count / Double(m - 1) * (4 + Double(m) * linkBits / 8)
    let graphBook = isCoded ? Double(min(dimension, 384) * dimension * 2) : 0
    let numbering = isCoded ? count * bits.rounded(.up) / 8 : 0
    graph =
      Int(count * (links * linkBits / 8 + code) + min(upper, count * 100) + numbering + graphBook)
      + Self.header
    // English in blocks of 16 KiB, an id, and two tables of 8 bytes.
    texts = Int(count * (Double(textBytes) * 0.6 + 22)) + Self.header
    // Seven collections of English took 35 bytes a passage (texts of 153 bytes) to 199 (of 1,593).
    words = lexical ? Int(count * (15 + 0.12 * Double(textBytes))) + Self.header : 0
    let rows = passages * tokens
    let centroids = TermSampling.centroids(rows: rows, dimension: termDimension)
    // Residuals: a centroid's number, its share of a list, and the centroids.
    var own = centroids <= 1 << 16 ? 3.0 : 4
    if termCodec.bits == nil { own = termCodec == .int8 ? 4 : 0 }
    let row = Double(termCodec.rowBytes(dimension: termDimension)) + own
    let book = termCodec.bits == nil ? 0 : centroids * (termDimension * 2 + 8)
    terms = tokens == 0 ? 0 : Int(Double(rows) * row) + passages * 8 + book + 2 * Self.header
    disk = vectors + graph + texts + words + terms
    diskWhileBuilding = disk + rows * termDimension * 2 + vectors + passages * (textBytes + 16)
    let linkRow = Double(2 * m + m / 2 + 1) * 4
    // While words are inverted, three bytes a term, of which ten bytes of text hold one.
    let inverting = lexical ? count * 0.3 * Double(textBytes) : 0
    memoryWhileBuilding = 64 << 20 + Int(count * (linkRow + code + 200) + inverting)
    let upperRow = Double(m + 1) * 4 / Double(m - 1)
    let searchRow = Double(2 * m + 1) * 4
    searchMemory = Int(count * (searchRow + upperRow))
    searchMappings = vectors + Int(count * (code + bits / 8)) + words + terms
    // 100,000 × 384 at M 16 and efConstruction 200: 25 seconds of one thread.
    let pace = 130e-6 + 0.31e-6 * Double(dimension)
    graphSeconds =
      count * pace * Double(efConstruction) / 200 * (Double(m) / 16).squareRoot() * bits / 16.6
  }

  /// The header page and the checksums of a file.
  private static let header = 4096
}
