// The umbrella: what a Swift user imports. Only public API of the rooms below is visible through it.

@_exported import DefaultEncoder
@_exported import Evaluation
@_exported import Formats
@_exported import Indexing
@_exported import Lexical
@_exported import Models
@_exported import Platform
@_exported import Reranking
@_exported import Retrieval
@_exported import Store
@_exported import Terms
