// swift-tools-version: 6.1
import PackageDescription

// A dense passage-retrieval engine. Rooms and who may import whom: see ARCHITECTURE.md.

// MARK: - Dependencies

let argumentParser = Target.Dependency.product(
  name: "ArgumentParser", package: "swift-argument-parser")

// MARK: - Package

let package = Package(
  name: "Retort",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "Retort", targets: ["Retort"]),
    .executable(name: "retort", targets: ["RetortCLI"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
  ],
  targets: [
    // MARK: Public API
    .target(
      name: "Retort",
      dependencies: [
        "Indexing", "Reranking", "Retrieval", "DefaultEncoder", "Evaluation", "Store", "Lexical",
        "Terms", "Models", "Formats", "Platform",
      ]),
    .executableTarget(
      name: "RetortCLI",
      dependencies: ["IndexCommands", "RetrievalCommands", "TrainingCommands", argumentParser]),
    // Times the parts by themselves, for tools/bench; not a product.
    .executableTarget(
      name: "RetortBench",
      dependencies: [
        "Retort", "Distillation", "Models", "Indexing", "Store", "Graph", "Terms", "Tensors",
        "Text", "Formats", "CKernels",
        "Platform", argumentParser,
      ]),

    // MARK: Commands. Several rooms, so that a build on two cores has work for both to its end.
    .target(
      name: "IndexCommands",
      dependencies: ["CommandSupport", "Retort", "Hub", "Platform", argumentParser]),
    .target(
      name: "RetrievalCommands",
      dependencies: ["CommandSupport", "Retort", "Mining", "Platform", argumentParser, "CEdit"]),
    .target(
      name: "TrainingCommands",
      dependencies: ["CommandSupport", "Retort", "Distillation", "Platform", argumentParser]),
    .target(
      name: "CommandSupport", dependencies: ["Retort", "Hub", "Platform", argumentParser]),

    // MARK: Rooms, from the top down
    .target(
      name: "Distillation",
      dependencies: ["Models", "Evaluation", "Tensors", "Formats", "Platform", "CKernels"]),
    .target(
      name: "DefaultEncoder", dependencies: ["Platform"], resources: [.copy("Model")]),
    .target(
      name: "Reranking",
      dependencies: ["Retrieval", "Store", "Terms", "Models", "Tensors", "Formats", "Platform"]),
    .target(
      name: "Mining",
      dependencies: [
        "Retrieval", "Evaluation", "Models", "Lexical", "Text", "Formats", "Platform",
      ]),
    .target(
      name: "Retrieval",
      dependencies: [
        "Models", "DefaultEncoder", "Store", "Graph", "Lexical", "Terms", "Tensors", "Text",
        "Formats", "CKernels",
      ]),
    .target(
      name: "Indexing",
      dependencies: ["Models", "Store", "Graph", "Lexical", "Terms", "Tensors", "Formats"]),
    .target(name: "Evaluation", dependencies: ["Formats"]),
    .target(name: "Models", dependencies: ["Tensors", "Text", "Formats", "CKernels"]),
    .target(
      name: "Store",
      dependencies: ["Graph", "Lexical", "Terms", "Formats", "Platform", "CKernels", "CLZ4"]),
    .target(name: "Graph", dependencies: ["Platform", "CKernels"]),
    .target(name: "Lexical", dependencies: ["Platform"]),
    .target(name: "Terms", dependencies: ["Tensors", "Platform", "CKernels"]),
    .target(name: "Text", dependencies: ["Platform"]),
    .target(name: "Formats", dependencies: ["Platform", "CZlib"]),
    .target(name: "Hub", dependencies: ["Platform", "CCurl"]),
    .target(name: "Tensors", dependencies: ["Platform", "CKernels", "CBLAS"]),
    .target(name: "Platform", dependencies: ["CKernels"]),

    // MARK: C
    .target(name: "CKernels"),
    .target(name: "CBLAS"),
    .target(name: "CCurl"),
    .systemLibrary(name: "CLZ4", pkgConfig: "liblz4", providers: [.apt(["liblz4-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CEdit", pkgConfig: "libedit", providers: [.apt(["libedit-dev"])]),

    // MARK: Tests
    .target(
      name: "TestSupport", dependencies: ["Formats", "Platform"], path: "Tests/TestSupport"),
    .testTarget(name: "PlatformTests", dependencies: ["Platform", "CKernels", "TestSupport"]),
    .testTarget(name: "TensorsTests", dependencies: ["Tensors", "CKernels", "CBLAS"]),
    .testTarget(
      name: "TextTests", dependencies: ["Text", "DefaultEncoder"], resources: [.copy("Fixtures")]),
    .testTarget(name: "FormatsTests", dependencies: ["Formats"]),
    .testTarget(name: "HubTests", dependencies: ["Hub", "Platform", "RetortCLI", "TestSupport"]),
    .testTarget(name: "ModelsTests", dependencies: ["Models", "Distillation", "TestSupport"]),
    .testTarget(name: "GraphTests", dependencies: ["Graph", "CKernels"]),
    .testTarget(name: "LexicalTests", dependencies: ["Lexical", "Platform", "TestSupport"]),
    .testTarget(name: "TermsTests", dependencies: ["Terms", "Tensors", "CKernels"]),
    .testTarget(
      name: "StoreTests", dependencies: ["Store", "Graph", "Terms", "Tensors", "TestSupport"]),
    .testTarget(
      name: "RetrievalTests",
      dependencies: [
        "Indexing", "Retrieval", "RetortCLI", "Models", "Store", "Graph", "Lexical", "Terms",
        "Tensors", "Formats", "TestSupport",
      ], resources: [.copy("Fixtures")]),
    .testTarget(
      name: "RerankingTests",
      dependencies: [
        "Reranking", "Indexing", "Retrieval", "Store", "Terms", "Distillation", "RetortCLI",
        "Models",
        "Formats", "TestSupport",
      ]),
    .testTarget(
      name: "MiningTests",
      dependencies: [
        "Mining", "Indexing", "Retrieval", "RetortCLI", "Lexical", "Models", "Formats",
        "TestSupport",
      ]),
    .testTarget(name: "RetortTests", dependencies: ["Retort", "TestSupport"]),
    .testTarget(
      name: "DistillationTests",
      dependencies: [
        "Distillation", "Reranking", "RetortCLI", "Evaluation", "Models", "Tensors", "Formats",
        "CKernels", "TestSupport",
      ]),
    .testTarget(name: "EvaluationTests", dependencies: ["Evaluation"]),
    .testTarget(
      name: "RetortCLITests",
      dependencies: [
        "RetortCLI", "CommandSupport", "RetrievalCommands", "Retort", "DefaultEncoder", "Indexing",
        "Retrieval", "Models", "Store",
        "TestSupport",
      ]),
  ],
  swiftLanguageModes: [.v6]
)
