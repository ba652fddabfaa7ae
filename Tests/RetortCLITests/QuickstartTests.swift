import Foundation
import Platform
import TestSupport
import Testing

/// `tools/quickstart` over made-up package lists, in a home and with an apt of its own.
@Suite struct QuickstartTests {
  private let folder: TemporaryFolder
  private let tools: FakeTools

  private var cache: String { folder.path + "/home/.cache/retort" }
  private var corpus: String { cache + "/debian-packages.jsonl" }
  private var index: String { folder.path + "/index" }

  init() throws {
    folder = try TemporaryFolder("quickstart")
    tools = try FakeTools(in: folder)
    for name in ["home", "tmp"] { try FileSystem.makeFolder(folder.path + "/" + name) }
  }

  private static let purposes = [
    "edit photographs and paint pictures", "play chess against the computer",
    "cook meals from a box of recipes", "look at the stars and the planets of the night sky",
    "learn to type with ten fingers", "keep the accounts of a household", "listen to the radio",
    "watch films with subtitles", "read electronic books", "write music for an orchestra",
    "compress folders into archives", "encrypt a hard disk with a passphrase",
    "measure how fast a network is", "serve web pages to visitors", "send and receive e-mail",
    "check the spelling of a letter", "translate words between languages",
    "draw maps of hiking trails",
    "find the train that leaves next", "forecast the weather", "track parcels on their way",
    "grow a family tree of ancestors", "solve equations and plot functions",
    "simulate electronic circuits", "design parts for a 3D printer", "scan paper documents",
    "burn compact discs", "download files over many connections",
    "back up a home folder every night",
    "recover deleted files from a memory card", "watch the temperature of a processor",
    "rename many files at once", "compare two versions of a text", "debug a program step by step",
    "draw the graph of a database", "chat with friends", "share a screen in a meeting",
    "remind of birthdays", "drill vocabulary with flash cards", "count calories and plan exercise",
  ]

  /// Writes apt's two lists into a folder, of packages with these purposes.
  private func writeLists(_ name: String, purposes: [String], more: String = "") throws -> String {
    var packages = ""
    var translations = ""
    for (number, purpose) in purposes.enumerated() {
      packages += "Package: made-up-\(number)\nSection: universe/utils\nVersion: 1\n\n"
      translations += """
        Package: made-up-\(number)
        Description-md5: \(String(number, radix: 16))
        Description-en: helps to \(purpose)
         A program for those who want to \(purpose), at home or at work,
         whether for the first time or for the thousandth.
         .
         It says "please" and nothing with a \\.


        """
    }
    try folder.file(name + "/example.org_dists_stable_main_binary-amd64_Packages", packages + more)
    try folder.file(
      name + "/example.org_dists_stable_main_i18n_Translation-en", translations + more)
    return folder.path + "/" + name
  }

  /// Adds an apt-get that brings these lists, or nothing, and counts its calls.
  private func addApt(_ lists: String?) throws {
    try tools.add(
      "apt-get",
      """
      echo "$1" >>'\(folder.path)/apt'
      for option; do
        case "$option" in
          Dir::State::lists=*) \(lists.map { "cp '\($0)'/* \"${option#*=}\"" } ?? "exit 100") ;;
        esac
      done
      """)
  }

  /// Adds a program that has no index yet and makes none.
  private func addProgram() throws -> String {
    try tools.add("retort", "[ \"$2\" != info ]")
    return tools.path + "/retort"
  }

  private func quickstart(
    _ arguments: [String], lists: String, script: String = FakeTools.scripts + "/quickstart"
  ) throws -> CLIResult {
    try CLIRunner.script(
      script, arguments,
      environment: [
        "PATH": tools.path, "HOME": folder.path + "/home", "TMPDIR": folder.path + "/tmp",
        "RETORT_CACHE": "", "XDG_CACHE_HOME": "", "RETORT_PACKAGE_LISTS": lists,
        "RETORT_NO_INSTALL": "1",
      ])
  }

  private func lines(_ path: String) throws -> Int {
    try FileSystem.read(path).count { $0 == UInt8(ascii: "\n") }
  }

  /// When every file below a folder was last written.
  private func dates(_ path: String) throws -> [String: Date] {
    var dates: [String: Date] = [:]
    for name in try FileManager.default.subpathsOfDirectory(atPath: path) {
      let attributes = try FileManager.default.attributesOfItem(atPath: path + "/" + name)
      dates[name] = try #require(attributes[.modificationDate] as? Date)
    }
    return dates
  }

  @Test func `the right package is found, and a second run makes nothing anew`() throws {
    let unwanted = """
      Package: libmade-up
      Section: libs
      Description-md5: fff
      Description-en: library that helps to edit photographs
       A library for those who want to edit photographs and paint pictures, at home or at work.


      """
    let lists = try writeLists("lists", purposes: Self.purposes, more: unwanted)
    try addApt(nil)
    let repository = FileSystem.parent(of: FakeTools.scripts)
    let before = try [repository, repository + "/indexes"].map { try FileSystem.names(in: $0) }
    let run = [
      "--program", CLIRunner.tool.path, "--index", index, "--query", "retouch a picture I took",
    ]
    let first = try quickstart(run, lists: lists)
    #expect(first.exitCode == 0, "\(first)")
    let best = first.standardOutput.prefix { $0 != "\n" }
    #expect(best.hasPrefix(" 1 ") && best.hasSuffix(" made-up-0"), "\(first)")
    #expect(
      first.standardOutput.contains("made-up-0: helps to edit photographs and paint pictures."))
    #expect(
      first.standardError.contains(
        "warning: 40 descriptions are fewer than 10000; to collect again, remove \(index)\n"),
      "\(first)")
    #expect(try lines(corpus) == 40)
    #expect(try lines(folder.path + "/apt") == 1)

    let (indexDates, homeDates) = (try dates(index), try dates(folder.path + "/home"))
    let second = try quickstart(run, lists: lists)
    #expect(second.exitCode == 0 && second.standardOutput == first.standardOutput, "\(second)")
    let steps = second.standardError.split(separator: "\n").filter { $0.hasPrefix("[") }
    #expect(steps.count == 1 && steps[0].hasSuffix("s] ready"), "\(second)")
    #expect(try dates(index) == indexDates)
    #expect(try dates(folder.path + "/home") == homeDates)
    #expect(try lines(folder.path + "/apt") == 1)

    let names = try FileSystem.names(in: folder.path).sorted()
    #expect(names == ["apt", "bin", "home", "index", "lists", "tmp"])
    #expect(try FileSystem.names(in: folder.path + "/tmp").isEmpty)
    #expect(try FileSystem.names(in: folder.path + "/home") == [".cache"])
    #expect(try FileSystem.names(in: folder.path + "/home/.cache") == ["retort"])
    #expect(
      try FileSystem.names(in: cache).sorted() == ["apt", "apt-lists", "debian-packages.jsonl"])
    let after = try [repository, repository + "/indexes"].map { try FileSystem.names(in: $0) }
    #expect(after.map { $0.sorted() } == before.map { $0.sorted() })
  }

  @Test func `lists are fetched where the machine's are too few, and only there`() throws {
    let few = try writeLists("few", purposes: Self.purposes)
    let many = try writeLists("many", purposes: (0..<10_600).map { "do the work of day \($0)" })
    let run = ["--program", try addProgram(), "--index", index, "--query", "work"]

    try addApt(many)
    let fetched = try quickstart(run, lists: few)
    #expect(fetched.exitCode == 0 && !fetched.standardError.contains("warning"), "\(fetched)")
    #expect(try lines(corpus) == 10_500)
    #expect(try lines(folder.path + "/apt") == 1)
    let again = try quickstart(run, lists: few)
    #expect(!again.standardError.contains("collecting"), "\(again)")

    try FileSystem.removeTree(cache)
    let own = try quickstart(run, lists: many)
    #expect(own.exitCode == 0 && !own.standardError.contains("warning"), "\(own)")
    #expect(try lines(corpus) == 10_500)
    #expect(try lines(folder.path + "/apt") == 1)

    // A machine without lists, as a container is.
    try FileSystem.removeTree(cache)
    try addApt(few)
    let bare = try quickstart(run, lists: folder.path + "/no")
    #expect(bare.standardError.contains("warning: 40 descriptions are fewer"), "\(bare)")
    #expect(try lines(folder.path + "/apt") == 2)
    // A corpus that was too small is collected again with the index.
    try addApt(many)
    let better = try quickstart(run, lists: folder.path + "/no")
    #expect(better.exitCode == 0 && !better.standardError.contains("warning"), "\(better)")
    #expect(try lines(corpus) == 10_500)
  }

  @Test func `the program is built where there is none or a source is younger`() throws {
    let checkout = folder.path + "/checkout"
    for name in ["quickstart", "lib.sh", "debian-corpus.awk"] {
      try folder.file(
        "checkout/tools/" + name, try FileSystem.read(FakeTools.scripts + "/" + name))
    }
    try folder.file("checkout/Package.swift", "")
    try folder.file("checkout/Sources/main.swift", "")
    try tools.addSwift(
      "6.1",
      build: """
        echo "$*" >>'\(folder.path)/builds'; mkdir -p .build/release
            cp '\(try addProgram())' .build/release/retort
        """)
    let lists = try writeLists("lists", purposes: Self.purposes)
    let script = checkout + "/tools/quickstart"
    let first = try quickstart(["--query", "work"], lists: lists, script: script)
    #expect(first.exitCode == 0 && first.standardError.contains("building the program"), "\(first)")
    #expect(first.standardError.contains("building the index \(checkout)/indexes/debian-packages"))
    let second = try quickstart(["--query", "work"], lists: lists, script: script)
    #expect(second.exitCode == 0, "\(second)")
    #expect(!second.standardError.contains("building the program"), "\(second)")
    #expect(try lines(folder.path + "/builds") == 1)
    try folder.file("checkout/Sources/main.swift", "print(1)")
    let third = try quickstart(["--query", "work"], lists: lists, script: script)
    #expect(third.exitCode == 0, "\(third)")
    #expect(try lines(folder.path + "/builds") == 2)
  }

  @Test func `a mistaken call and a machine without packages say what to do`() throws {
    let program = try addProgram()
    let start = ["--program", program, "--index", index, "--query", "work"]
    let calls: [(arguments: [String], code: Int32, reason: String)] = [
      (["--program"], 64, "--program needs a value; see tools/quickstart --help"),
      (["--frob"], 64, "unknown argument '--frob'; see tools/quickstart --help"),
      (["--program", program + "-no"], 66, "there is no program \(program)-no"),
      (start, 1, "run it on Debian or Ubuntu"),
    ]
    for (arguments, code, reason) in calls {
      let result = try quickstart(arguments, lists: folder.path + "/no")
      #expect(result.exitCode == code, "\(result)")
      #expect(lastLine(result.standardError).hasSuffix(reason), "\(result)")
    }
    try addApt(nil)
    let empty = try quickstart(start, lists: folder.path + "/no")
    #expect(empty.exitCode == 1, "\(empty)")
    #expect(lastLine(empty.standardError).hasSuffix("check /etc/apt/sources.list"), "\(empty)")
    let help = try quickstart(["--help"], lists: folder.path)
    #expect(help.exitCode == 0 && help.standardOutput.contains("RETORT_PACKAGE_LISTS=DIR"))
    #expect(help.standardOutput.contains("--program FILE"))
  }
}
