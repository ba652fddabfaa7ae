import ArgumentParser
import CommandSupport
import Distillation
import Models
import Retort

/// What `retort train` reads.
struct TrainDataArguments: ParsableArguments {
  @Option(help: "Triples: query, positive and negative passage, separated by TAB.")
  var triples: String?

  @Option(
    help: """
      Triples behind a teacher's scores of the positive and the negative passage. Given as well, \
      --triples must list the same triples in the same order.
      """)
  var teacherScores: String?

  @Option(help: "The passages' texts, where columns are ids: tsv, JSON lines or a BEIR folder.")
  var collection: String?

  @Option(help: "The queries' texts, where columns are ids: tsv, JSON lines or a BEIR folder.")
  var queries: String?

  @Option(help: "The share of triples that may name unknown ids; they are left out.")
  var maxUnknown = 0.01

  @Flag(help: "Skip and count lines that cannot be read instead of stopping at the first.")
  var skipBadLines = false

  func apply(to options: inout TrainingOptions) {
    options.triples = triples
    options.teacherScores = teacherScores
    options.collection = collection
    options.queries = queries
    options.maxUnknown = maxUnknown
    options.skipBadLines = skipBadLines
  }
}

/// What `retort train` makes of texts.
struct TrainModelArguments: ParsableArguments {
  @Option(help: "bert-dot: cls or mean (default: what the start says).")
  var pooling: Pooling?

  @Flag(
    help: """
      bert-dot: scale vectors to length 1, so that scores are cosines; meant for list-kl, listnet \
      and infonce with a low --temperature (default: raw vectors, whatever the start says).
      """)
  var normalize = false

  @Option(
    help: """
      Tokens of a query at most, special ones included (not bert-cat); prettr's passages begin at this \
      position.
      """)
  var queryLength = 32

  @Option(
    help: """
      Tokens of a passage (bert-cat: of a query with its passage; tk: words) at most (default: what \
      the start says).
      """)
  var passageLength: Int?

  @Option(
    help: """
      The share of hidden values and of attention probabilities dropped in a step (default: 0.1, tk 0).
      """)
  var dropout: Double?

  @Option(
    help: """
      colbert: original (unit vectors, markers, queries filled with [MASK]) or hofstaetter (vectors as \
      they are, a bias, no markers). Default: what the start is, else original.
      """)
  var variant: ColBERTVariant?

  @Option(
    help: """
      colbert: numbers of a token's vector (default: what the start has, else 128 in the original and \
      the encoder's width in hofstaetter). tk: of a word's vector, where they are drawn (default: 300).
      """)
  var dimension: Int?

  @OptionGroup var masks: QueryMaskArguments

  @Option(
    help: """
      prettr: layers that read query and passage apart (default: what the start has, else half of \
      them).
      """)
  var splitLayer: Int?

  @Option(
    help: """
      prettr: numbers of a passage's token that can be kept, by a compressor (default: what the start \
      has, else the encoder's width without one).
      """)
  var compression: Int?

  @Option(
    help: """
      tk, without --init: vectors of words in GloVe's text format, perhaps gzipped; words they lack are \
      unknown (default: vectors are drawn for all words).
      """)
  var embeddings: String?

  @Option(help: "tk, without --init: words at most, the most frequent of the texts.")
  var vocabularySize = 200_000

  @Option(
    help: """
      tk, without --init: a corpus whose words count beside those of the triples and --collection: \
      tsv, JSON lines or a BEIR folder.
      """)
  var vocabularyCorpus: String?

  func apply(to options: inout TrainingOptions) throws {
    options.variant = variant
    options.splitLayer = splitLayer
    options.compression = compression
    options.embeddings = embeddings
    options.vocabularySize = vocabularySize
    options.vocabularyCorpus = vocabularyCorpus
    options.dimension = dimension
    options.queryMasks = try masks.parsed()
    options.pooling = pooling
    options.normalize = normalize
    options.queryLength = queryLength
    options.passageLength = passageLength
    options.dropout = dropout ?? (options.model == .tk ? 0 : 0.1)
  }
}

/// How `retort train` learns.
struct TrainLearningArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "What is made small: " + Loss.allCases.map(\.rawValue).joined(separator: ", ") + "."))
  var loss = Loss.marginMSE

  @Option(
    help: """
      A second teacher beside margin-mse, a ColBERT folder: bert-dot learns its margins between each \
      query's positive and all other passages of the batch, too (TAS-Balanced). Not split by \
      --micro-batch.
      """)
  var inBatchTeacher: String?

  @Option(help: "The weight of what the second teacher says of the batch.")
  var inBatchWeight = 0.75

  @Option(help: "The temperature of list-kl, listnet and infonce.")
  var temperature = 1.0

  @Option(help: "Triples of a step.")
  var batchSize = 32

  @Option(
    help: """
      Triples that go through the network together, which decides the memory; gradients of a step \
      are summed (default: all).
      """)
  var microBatch: Int?

  @Option(
    help: """
      What linear layers multiply in: f32, or bf16 (mixed precision), which is faster where the CPU has \
      instructions for it and refused where not. Attention, weights, gradients and the optimiser are f32.
      """)
  var precision = TrainingPrecision.f32

  @Option(help: "Passes over the triples.")
  var epochs = 1.0

  @Option(help: "Steps, in place of --epochs.")
  var steps: Int?

  @Option(help: "The highest learning rate.")
  var learningRate = 7e-6

  @Option(help: "The learning rate of embeddings (default: the same).")
  var embeddingRate: Double?

  @Option(
    help: """
      The learning rate of what makes scores of the encoder's output: the head of bert-cat, the \
      projection of colbert, the kernels of tk (default: the same).
      """)
  var headRate: Double?

  @Option(help: "How the learning rate goes on after the warm-up: linear or cosine to 0, constant.")
  var schedule = Schedule.Shape.linear

  @Option(help: "Steps in which the learning rate rises to its highest.")
  var warmup = 0

  @Option(help: "adamw takes weight decay off the weights, adam adds it to their gradients.")
  var optimizer = OptimizerKind.adamW

  @Option(help: "The weight decay. Biases and normalisations do not decay.")
  var weightDecay = 0.0

  @Option(help: "Adam's decay of the mean of gradients.")
  var beta1 = 0.9

  @Option(help: "Adam's decay of the mean of squared gradients.")
  var beta2 = 0.999

  @Option(help: "Adam's epsilon.")
  var epsilon = 1e-8

  @Option(help: "Scale longer gradients down to this norm; 0 for never.")
  var clipNorm = 0.0

  @Option(help: "Decides the order of triples, dropout, and a head that the start lacks.")
  var seed: UInt64 = 1

  @Option(
    help: """
      bert-dot: fill each batch from one of so many clusters of queries, found by k-means over the \
      start's vectors; 0 for none.
      """)
  var topicClusters = 0

  @Option(
    help: """
      Draw a query's triple from one of so many bins of the teacher's margins, each as likely as \
      the others; 0 for none. With either of these two, --epochs only counts steps.
      """)
  var marginBins = 0

  func apply(to options: inout TrainingOptions) throws {
    options.loss = loss
    options.inBatchTeacher = try inBatchTeacher.map { absolutePath(try modelFolder($0)) }
    options.inBatchWeight = inBatchWeight
    options.temperature = temperature
    options.batchSize = batchSize
    options.microBatch = microBatch
    options.epochs = epochs
    options.precision = precision
    options.steps = steps
    options.learningRate = learningRate
    options.embeddingRate = embeddingRate
    options.headRate = headRate
    options.schedule = schedule
    options.warmup = warmup
    options.optimizer = optimizer
    options.weightDecay = weightDecay
    options.beta1 = beta1
    options.beta2 = beta2
    options.epsilon = epsilon
    options.clipNorm = clipNorm
    options.seed = seed
    options.topicClusters = topicClusters
    options.marginBins = marginBins
  }
}

/// How `retort train` is judged while it runs.
struct TrainValidationArguments: ParsableArguments {
  @Option(help: "Judgements of queries that are not trained on: validate with them.")
  var validationQrels: String?

  @Option(help: "The texts of these queries: tsv, JSON lines or a BEIR folder.")
  var validationTopics: String?

  @Option(
    help: """
      Passages to rank for each query: lines of query id, passage id, query, passage, separated by \
      TAB, or a run of ids (default: all of the reduced corpus).
      """)
  var validationCandidates: String?

  @Option(help: "The passages' texts: tsv, JSON lines or a BEIR folder (default: --collection).")
  var validationCorpus: String?

  @Option(
    help: "The reduced corpus: all judged passages and so many others, chosen by --seed.")
  var validationSample = 10_000

  @Option(
    help: """
      bert-dot alone: a run that answers these queries: draw queries evenly over what it is worth for them, and let \
      the reduced corpus be its best passages and all judged ones.
      """)
  var validationBaseline: String?

  @Option(help: "With --validation-baseline: queries to draw.")
  var validationQueries = 4000

  @Option(
    help: """
      With --validation-baseline: bins of equal width over its --validation-measure, each of which \
      gives the same number of queries.
      """)
  var validationBins = 5

  @Option(help: "Candidates of a query, or passages of the baseline, from the top.")
  var validationDepth = 100

  @Option(help: "Steps between validations; there is one before the first step and one at the end.")
  var validateEvery = 1000

  @Option(help: "End after so many validations in a row without a better one; 0 for never.")
  var patience = 0

  @Option(help: "What decides which weights are best and are written: ndcg@10 or mrr@10.")
  var validationMeasure = ValidationOptions.Target.nDCG10

  func apply(to options: inout TrainingOptions) {
    options.validation.qrels = validationQrels
    options.validation.topics = validationTopics
    options.validation.candidates = validationCandidates
    options.validation.corpus = validationCorpus
    options.validation.sample = validationSample
    options.validation.baseline = validationBaseline
    options.validation.queries = validationQueries
    options.validation.bins = validationBins
    options.validation.depth = validationDepth
    options.validation.every = validateEvery
    options.validation.patience = patience
    options.validation.target = validationMeasure
  }
}

extension ValidationOptions.Target: ExpressibleByArgument {}
extension RankerKind: ExpressibleByArgument {}
extension ColBERTVariant: ExpressibleByArgument {}
extension Loss: ExpressibleByArgument {}
extension OptimizerKind: ExpressibleByArgument {}
extension TrainingPrecision: ExpressibleByArgument {}
extension Schedule.Shape: ExpressibleByArgument {}
