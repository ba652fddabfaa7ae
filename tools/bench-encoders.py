"""Retort's encoder against the usual engines: same weights, same token ids, one run.

Called by `tools/bench encode`, which makes the virtual environment; see there for the options.

Every engine is a process of its own (this file with --peer, or `RetortBench encode`) that loads
the model once and then answers requests on its standard input, so that the engines can be timed in
turns: ours, a peer, the next peer, ours again. Each figure is the median of the rounds. All engines
return pooled sentence vectors. Peers are given the passages sorted by length, padded to
the longest of each batch; Retort gets them as they come.
"""

import argparse
import contextlib
import fcntl
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import time

PEERS = [
    "torch-f32", "torch-int8", "onnxruntime-f32", "onnxruntime-int8", "openvino-f32",
    "openvino-int8", "ctranslate2-f32", "ctranslate2-int8",
]
# Emulated, and slower than f32, on processors without instructions for bf16.
BF16_PEERS = ["torch-bf16", "openvino-bf16"]
QUERY_TOKENS = 16
FIXED_TOKENS = 128


def peak_bytes():
    """Resident memory's high-water mark. ru_maxrss would keep that of the process that started us."""
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main():
    parser = argparse.ArgumentParser(prog="tools/bench encode", description=__doc__)
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    parser.add_argument("--data", help=argparse.SUPPRESS)
    parser.add_argument("--cache", help=argparse.SUPPRESS)
    parser.add_argument("--bench", help=argparse.SUPPRESS)
    parser.add_argument("--retort", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    parser.add_argument(
        "--model", default="minilm", choices=["minilm", "distilbert", "bert-dot"],
        help="minilm, or DistilBERT's shape with random weights, pooled by means (distilbert) or [CLS]")
    parser.add_argument("--threads", default="2,1", help="thread counts, in order (2,1)")
    parser.add_argument("--rounds", type=int, default=3, help="times that everything is timed (3)")
    parser.add_argument(
        "--passages", type=int, default=256, help="passages of natural length (256)")
    parser.add_argument(
        "--precisions", default="int8,bf16,f32", help="of Retort, by comma (int8,bf16,f32)")
    parser.add_argument("--peers", default="", help="only these engines, by comma; none: no peer")
    parser.add_argument(
        "--work", default="natural,fixed8,fixed32,query,tokenize,corpus",
        help="what is timed, by comma (natural,fixed8,fixed32,query,tokenize,corpus)")
    arguments = parser.parse_args()
    # Read when the tokenizer is first used: one thread, as ours has when it is compared.
    os.environ.update(RAYON_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")
    if arguments.peer:
        serve(arguments, {
            "torch": Torch, "onnxruntime": OnnxRuntime, "openvino": OpenVINO,
            "ctranslate2": CTranslate2})
    else:
        Comparison(arguments).run()


# The texts ----------------------------------------------------------------------------------------


def read_texts(path, field="text"):
    """The distinct texts of JSON lines, with their titles in front, in order."""
    texts = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            texts[((record.get("title") or "") + " " + record[field]).strip(" \t\n\v\f\r")] = None
    return list(texts)


def write_texts(path, texts):
    with open(path, "w", encoding="utf-8") as file:
        for number, text in enumerate(texts):
            file.write(json.dumps({"id": str(number), "text": text}) + "\n")


def write_ids(path, sequences):
    with open(path, "w", encoding="ascii") as file:
        for ids in sequences:
            file.write(" ".join(map(str, ids)) + "\n")


def read_ids(path):
    with open(path, encoding="ascii") as file:
        return [[int(word) for word in line.split()] for line in file]


class Texts:
    """Token ids of everything that is encoded, made by Hugging Face's tokenizer."""

    def __init__(self, data, model, cache, passages):
        import tokenizers

        tokenizer = tokenizers.Tokenizer.from_file(model + "/tokenizer.json")
        tokenizer.no_padding()
        tokenizer.enable_truncation(256)
        squad = data + "/data/squad-train"
        texts = read_texts(squad + "/corpus.jsonl")
        random.Random(1).shuffle(texts)
        self.corpus = f"{cache}/corpus.jsonl"
        self.corpus_count = min(passages * 4, len(texts))
        write_texts(self.corpus, texts[: self.corpus_count])
        ids = [encoding.ids for encoding in tokenizer.encode_batch(texts[: passages * 4])]
        self.natural = ids[:passages]
        # Longer passages cut to the fixed length; the last id is [SEP].
        fixed = [one[: FIXED_TOKENS - 1] + one[-1:] for one in ids if len(one) >= FIXED_TOKENS][:64]
        query = next(
            one.ids
            for one in tokenizer.encode_batch(read_texts(squad + "/queries.jsonl")[:1000])
            if len(one.ids) == QUERY_TOKENS)
        self.works = {}
        # name: (file, batch of the peers, batch of Retort, sequences)
        for name, sequences, batch, ours in [
            ("natural", self.natural, 32, passages), ("fixed8", fixed, 8, 8),
            ("fixed32", fixed, 32, 32), ("query", [query], 1, 1),
        ]:
            path = f"{cache}/{name}.ids"
            write_ids(path, sequences)
            self.works[name] = (path, batch, ours, len(sequences))


# The peers ----------------------------------------------------------------------------------------


def serve(arguments, families):
    """Answers requests, one a line, words separated by tabs; see `Engine`."""
    # Libraries print to standard output when they please; answers go to the real one.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    family, _, precision = arguments.peer.partition("-")
    engine = families[family](
        arguments.folder, arguments.cache, precision, int(arguments.threads))
    batches = {}
    print("ready", file=answers)
    for line in sys.stdin:
        verb, *words = line.rstrip("\n").split("\t")
        if verb == "load":
            batches[words[0]] = make_batches(read_ids(words[1]), int(words[2]))
            answer = "loaded"
        elif verb == "time":
            start = time.perf_counter()
            for _, ids, mask in batches[words[0]]:
                engine.encode(ids, mask)
            answer = str(time.perf_counter() - start)
        elif verb == "latency":
            _, ids, mask = batches[words[0]][0]
            times = []
            for _ in range(int(words[1])):
                start = time.perf_counter()
                engine.encode(ids, mask)
                times.append(str((time.perf_counter() - start) * 1e3))
            answer = " ".join(times)
        elif verb == "vectors":
            write_vectors(engine, batches[words[0]], words[1])
            answer = "written"
        elif verb == "end":
            print(peak_bytes(), file=answers)
            return
        print(answer, file=answers)


def make_batches(sequences, size):
    """(numbers of the sequences, padded ids, mask) of batches of sequences of like length."""
    import numpy

    order = sorted(range(len(sequences)), key=lambda number: len(sequences[number]))
    batches = []
    for start in range(0, len(order), size):
        numbers = order[start : start + size]
        width = max(len(sequences[number]) for number in numbers)
        ids = numpy.zeros((len(numbers), width), "int64")
        mask = numpy.zeros((len(numbers), width), "int64")
        for row, number in enumerate(numbers):
            ids[row, : len(sequences[number])] = sequences[number]
            mask[row, : len(sequences[number])] = 1
        batches.append((numbers, ids, mask))
    return batches


def write_vectors(engine, batches, path):
    import numpy

    vectors = {}
    for numbers, ids, mask in batches:
        vectors.update(zip(numbers, numpy.asarray(engine.encode(ids, mask), "float32")))
    numpy.save(path, numpy.stack([vectors[number] for number in sorted(vectors)]))


def pools_cls(folder):
    with open(folder + "/1_Pooling/config.json", encoding="utf-8") as file:
        return json.load(file).get("pooling_mode_cls_token", False)


def load_torch(folder):
    """The encoder with the folder's pooling behind it: means of length 1, or the vector of [CLS]."""
    import torch
    import transformers

    by_cls = pools_cls(folder)

    class SentenceEncoder(torch.nn.Module):
        def __init__(self, attention):
            super().__init__()
            self.body = transformers.AutoModel.from_pretrained(
                folder, attn_implementation=attention, dtype=torch.float32)

        def forward(self, ids, mask):
            tokens = self.body(input_ids=ids, attention_mask=mask).last_hidden_state
            if by_cls:
                return tokens[:, 0]
            weights = mask.unsqueeze(-1).to(tokens.dtype)
            mean = (tokens * weights).sum(1) / weights.sum(1)
            return torch.nn.functional.normalize(mean, dim=1)

    return SentenceEncoder


class Torch:
    def __init__(self, folder, cache, precision, threads):
        import torch

        torch.set_num_threads(threads)
        self.torch = torch
        self.autocast = precision == "bf16"
        self.model = load_torch(folder)("sdpa").eval()
        if precision == "int8":
            self.model = torch.ao.quantization.quantize_dynamic(
                self.model, {torch.nn.Linear}, dtype=torch.qint8)

    def encode(self, ids, mask):
        torch = self.torch
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, self.autocast):
            return self.model(torch.from_numpy(ids), torch.from_numpy(mask)).float().numpy()


def export_onnx(folder, cache):
    """The path of the model as ONNX, made when it is not there."""
    path = cache + "/model.onnx"
    if not os.path.exists(path):
        import torch

        model = load_torch(folder)("eager").eval()
        ids = torch.randint(1000, 30000, (2, QUERY_TOKENS))
        mask = torch.ones_like(ids)
        mask[1, 9:] = 0
        torch.onnx.export(
            model, (ids, mask), path + ".tmp", input_names=["ids", "mask"],
            output_names=["vectors"], opset_version=17, dynamo=False,
            dynamic_axes={
                "ids": {0: "batch", 1: "length"}, "mask": {0: "batch", 1: "length"},
                "vectors": {0: "batch"}})
        os.rename(path + ".tmp", path)
    return path


class OnnxRuntime:
    def __init__(self, folder, cache, precision, threads):
        import onnxruntime

        path = self.optimized(folder, cache)
        if precision == "int8":
            path = self.quantized(path, cache)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"])

    def export(self, folder, cache):
        return export_onnx(folder, cache)

    def optimized(self, folder, cache):
        """With attention, GELU and layer normalisation fused, as its authors advise."""
        path = cache + "/fused.onnx"
        if not os.path.exists(path):
            from onnxruntime.transformers import optimizer

            with open(folder + "/config.json", encoding="utf-8") as file:
                config = json.load(file)
            model = optimizer.optimize_model(
                self.export(folder, cache), "bert",
                num_heads=config.get("num_attention_heads") or config["n_heads"],
                hidden_size=config.get("hidden_size") or config["dim"])
            print(model.get_fused_operator_statistics(), file=sys.stderr)
            model.save_model_to_file(path + ".tmp")
            os.rename(path + ".tmp", path)
        return path

    def quantized(self, source, cache):
        path = cache + "/fused-int8.onnx"
        if not os.path.exists(path):
            import onnx
            from onnxruntime.quantization import QuantType, quantize_dynamic

            # The fused operators have no shape inference; what they give is f32.
            quantize_dynamic(
                source, path + ".tmp", weight_type=QuantType.QInt8, extra_options={
                    "MatMulConstBOnly": True, "DefaultTensorType": onnx.TensorProto.FLOAT})
            os.rename(path + ".tmp", path)
        return path

    def encode(self, ids, mask):
        return self.session.run(None, {"ids": ids, "mask": mask})[0]


class OpenVINO:
    def __init__(self, folder, cache, precision, threads):
        import openvino

        core = openvino.Core()
        model = core.read_model(export_onnx(folder, cache))
        if precision == "int8":
            model = core.read_model(self.quantized(model, cache))
        self.request = core.compile_model(
            model, "CPU", {
                "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
            }).create_infer_request()

    def quantized(self, model, cache):
        """Post-training quantisation, calibrated with passages of the benchmark."""
        path = cache + "/openvino-int8.xml"
        if not os.path.exists(path):
            import nncf
            import openvino

            sequences = read_ids(os.path.dirname(cache) + "/natural.ids")[:64]
            items = [
                {"ids": ids, "mask": mask} for _, ids, mask in make_batches(sequences, 1)]
            quantized = nncf.quantize(
                model, nncf.Dataset(items), model_type=nncf.ModelType.TRANSFORMER,
                subset_size=len(items))
            openvino.save_model(quantized, path, compress_to_fp16=False)
        return path

    def encode(self, ids, mask):
        return self.request.infer({"ids": ids, "mask": mask})[0]


class CTranslate2:
    def __init__(self, folder, cache, precision, threads):
        import ctranslate2
        import numpy

        self.numpy = numpy
        self.by_cls = pools_cls(folder)
        path = cache + "/ctranslate2"
        if not os.path.exists(path):
            converter = ctranslate2.converters.TransformersConverter(folder)
            converter.convert(path + ".tmp", force=True)
            os.rename(path + ".tmp", path)
        self.encoder = ctranslate2.Encoder(
            path, compute_type={"f32": "float32", "int8": "int8"}[precision],
            intra_threads=threads, inter_threads=1)

    def encode(self, ids, mask):
        numpy = self.numpy
        sequences = [row[: int(kept.sum())].tolist() for row, kept in zip(ids, mask)]
        tokens = numpy.array(self.encoder.forward_batch(sequences).last_hidden_state)
        if self.by_cls:
            return tokens[:, 0]
        weights = mask[:, :, None].astype("float32")
        mean = (tokens * weights).sum(1) / weights.sum(1)
        return mean / numpy.linalg.norm(mean, axis=1, keepdims=True)


# The comparison -----------------------------------------------------------------------------------


class Engine:
    """A process that answers `load`, `time`, `latency`, `vectors` and `end`."""

    def __init__(self, name, command, threads):
        self.name = name
        environment = dict(
            os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads),
            RAYON_NUM_THREADS=str(threads), TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1",
            TRANSFORMERS_VERBOSITY="error", PYTHONWARNINGS="ignore")
        self.log = open(os.environ.get("RETORT_BENCH_LOG", os.devnull), "a", encoding="utf-8")
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True,
            env=environment, bufsize=1)
        self.answer()

    def ask(self, *words):
        try:
            self.process.stdin.write("\t".join(map(str, words)) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        return self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(
                f"tools/bench: error: {self.name} ended with status {self.process.wait()}; "
                "RETORT_BENCH_LOG=file keeps what it says")
        return line.strip()


@contextlib.contextmanager
def quiet_machine():
    """Holds the file RETORT_BENCH_LOCK, where builds on the same machine hold it shared."""
    path = os.environ.get("RETORT_BENCH_LOCK")
    if not path:
        yield
        return
    with open(path, "a", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Comparison:
    """All engines of a thread count at a time, each work in turns, and the tables."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.works = arguments.work.split(",")
        self.threads = [int(word) for word in arguments.threads.split(",")]
        self.cache = arguments.cache
        os.makedirs(self.cache, exist_ok=True)
        self.folder = self.model_folder()
        self.engine_cache = f"{self.cache}/{arguments.model}"
        os.makedirs(self.engine_cache, exist_ok=True)
        self.texts = Texts(
            arguments.data, self.minilm, self.cache, arguments.passages)
        self.ours = ["retort-" + word for word in arguments.precisions.split(",") if word]
        self.peers = self.peer_names()
        # results[threads][engine][work]: seconds, or a list of milliseconds
        self.results = {}
        self.peaks = {}
        self.cosines = {}

    @property
    def minilm(self):
        return self.arguments.data + "/models/all-MiniLM-L6-v2"

    def peer_names(self):
        asked = self.arguments.peers
        if asked:
            return [name for name in asked.split(",") if name != "none"]
        try:
            with open("/proc/cpuinfo", encoding="utf-8") as file:
                flags = set(file.read().split())
        except OSError:
            flags = set()
        has_bf16 = not flags.isdisjoint({"avx512_bf16", "amx_bf16", "bf16"})
        return PEERS + (BF16_PEERS if has_bf16 else [])

    def model_folder(self):
        """The model's folder; DistilBERT's shape has random weights, made once: with means of length 1
        as sentence-transformers has them, or as BERT_DOT with the vector of [CLS]."""
        if self.arguments.model == "minilm":
            return self.minilm
        by_cls = self.arguments.model == "bert-dot"
        folder = self.cache + ("/bert-dot-random" if by_cls else "/distilbert-random")
        if not os.path.exists(folder):
            import shutil
            import torch
            import transformers

            torch.manual_seed(0)
            model = transformers.DistilBertModel(transformers.DistilBertConfig())
            model.save_pretrained(folder + ".tmp")
            for name in ("vocab.txt", "tokenizer.json", "tokenizer_config.json"):
                shutil.copy(f"{self.minilm}/{name}", folder + ".tmp")
            os.mkdir(folder + ".tmp/1_Pooling")
            with open(folder + ".tmp/1_Pooling/config.json", "w", encoding="ascii") as file:
                pooling = "cls_token" if by_cls else "mean_tokens"
                json.dump({"pooling_mode_" + pooling: True}, file)
            if not by_cls:
                os.mkdir(folder + ".tmp/2_Normalize")
            os.rename(folder + ".tmp", folder)
        return folder

    def start(self, name, threads):
        if name.startswith("retort-"):
            precision = name.removeprefix("retort-")
            command = [
                self.arguments.bench, "encode", "--model", self.folder, "--threads", str(threads),
                "--precision", precision]
        else:
            command = [
                sys.executable, __file__, "--peer", name, "--threads", str(threads),
                "--folder", self.folder, "--cache", self.engine_cache]
        note(f"starting {name}, {threads} threads")
        return Engine(name, command, threads)

    def run(self):
        for threads in self.threads:
            self.results[threads] = {}
            engines = [self.start(name, threads) for name in self.ours + self.peers]
            self.time(engines, threads)
            if threads == self.threads[0]:
                self.compare_vectors(engines)
            for engine in engines:
                self.peaks[engine.name, threads] = int(engine.ask("end"))
        if any(work in self.works for work in ("natural", "fixed8", "fixed32", "query")):
            self.show_speed()
        if "tokenize" in self.works:
            self.tokenize()
        if "corpus" in self.works and self.ours:
            self.encode_corpus()

    def time(self, engines, threads):
        for work, (path, batch, ours, count) in self.texts.works.items():
            if work not in self.works:
                continue
            samples = {engine.name: [] for engine in engines}
            for engine in engines:
                engine.ask("load", work, path, ours if engine.name in self.ours else batch)
                engine.ask("latency", work, 1)
            with quiet_machine():
                for number in range(self.arguments.rounds):
                    note(f"{work}, {threads} threads, round {number + 1}")
                    for engine in engines:
                        samples[engine.name] += self.sample(engine, work)
            for name, values in samples.items():
                row = self.results[threads].setdefault(name, {})
                row[work] = values if work == "query" else count / statistics.median(values)

    def sample(self, engine, work):
        if work != "query":
            return [float(engine.ask("time", work))]
        engine.ask("latency", work, 20)
        return [float(word) for word in engine.ask("latency", work, 200).split()]

    def compare_vectors(self, engines):
        """The cosines of every engine's vectors with those of PyTorch in f32."""
        import numpy

        if "natural" not in self.works:
            return
        vectors = {}
        for engine in engines:
            path = f"{self.engine_cache}/{engine.name}.npy"
            engine.ask("vectors", "natural", path)
            vectors[engine.name] = numpy.load(path)
        reference = vectors.get("torch-f32", vectors.get("retort-f32"))
        if reference is None:
            return
        for name, values in vectors.items():
            cosines = (values * reference).sum(1) / (
                numpy.linalg.norm(values, axis=1) * numpy.linalg.norm(reference, axis=1))
            self.cosines[name] = (float(cosines.min()), float(cosines.mean()))

    # The tables

    def show_speed(self):
        works = [work for work in self.texts.works if work in self.works and work != "query"]
        lengths = [len(ids) for ids in self.texts.natural]
        print(
            f"\n{self.arguments.model}: natural = {len(lengths)} SQuAD paragraphs, "
            f"{statistics.mean(lengths):.0f} tokens in the mean, up to {max(lengths)}; "
            f"fixed = {FIXED_TOKENS} tokens in batches of 8 and 32; query = {QUERY_TOKENS} tokens; "
            f"medians of {self.arguments.rounds} interleaved rounds\n")
        head = ["engine", "threads"] + [work + ", passages/s" for work in works]
        if "query" in self.works:
            head += ["query p50, ms", "p95, ms"]
        table(head + ["cosine to f32, least", "mean", "peak MB"])
        for threads, engines in self.results.items():
            for name, row in engines.items():
                cells = [name, threads] + [f"{row[work]:.1f}" for work in works]
                if "query" in self.works:
                    cells += [f"{percentile(row['query'], share):.2f}" for share in (0.5, 0.95)]
                least, mean = self.cosines.get(name, (None, None))
                cells += ["–" if value is None else f"{value:.4f}" for value in (least, mean)]
                line(cells + [f"{self.peaks[name, threads] / 1e6:.0f}"])
        if self.ours and self.peers:
            self.show_ratios(works)
        if len(self.threads) > 1:
            self.show_scaling(works)

    def show_ratios(self, works):
        print("\nRetort's speed as a multiple of a peer's\n")
        table(["precision", "threads", "work", "fastest peer of the precision", "ratio",
               "fastest peer of all", "ratio", "ratio to torch-f32"])
        for threads, engines in self.results.items():
            for ours in self.ours:
                for work in works + (["query"] if "query" in self.works else []):
                    speed = {
                        name: 1e3 / percentile(row[work], 0.5) if work == "query" else row[work]
                        for name, row in engines.items()}
                    cells = [ours, threads, work]
                    precision = "-" + ours.partition("-")[2]
                    for names in (
                            [name for name in self.peers if name.endswith(precision)], self.peers):
                        best = max(names, key=speed.get, default=None)
                        cells += [best, f"{speed[ours] / speed[best]:.2f}"] if best else "––"
                    torch = speed.get("torch-f32")
                    line(cells + [f"{speed[ours] / torch:.2f}" if torch else "–"])

    def show_scaling(self, works):
        few, many = min(self.threads), max(self.threads)
        print(f"\nSpeed on {many} threads as a multiple of that on {few}\n")
        table(["engine"] + works)
        for name, row in self.results[many].items():
            slower = self.results[few][name]
            line([name] + [f"{row[work] / slower[work]:.2f}" for work in works])


    # The tokenizer

    def tokenize(self):
        import tokenizers

        theirs = tokenizers.Tokenizer.from_file(self.minilm + "/tokenizer.json")
        theirs.no_padding()
        theirs.no_truncation()
        print("\nTokenizer, one thread, Hugging Face's tokenizers beside ours\n")
        table(["texts of", "MB", "theirs, MB/s", "ours, MB/s", "ratio", "texts with other ids"])
        for name in ("squad-train", "wikiqa", "npl", "medquad"):
            source = f"{self.arguments.data}/data/{name}/corpus.jsonl"
            if not os.path.exists(source):
                continue
            texts = read_texts(source)
            path = f"{self.cache}/{name}.jsonl"
            write_texts(path, texts)
            size = sum(len(text.encode()) for text in texts) / 1e6
            speeds = {"theirs": [], "ours": []}
            for number in range(self.arguments.rounds):
                note(f"tokenize {name}, round {number + 1}")
                with quiet_machine():
                    start = time.perf_counter()
                    encodings = theirs.encode_batch_fast(texts)
                    speeds["theirs"].append(size / (time.perf_counter() - start))
                    ours = self.tokenize_ours(path)
                    speeds["ours"].append(float(ours["megabytesPerSecond"]))
            differing = sum(
                one.ids != ids for one, ids in zip(encodings, read_ids(path + ".ids"), strict=True))
            slow, fast = (statistics.median(speeds[side]) for side in ("theirs", "ours"))
            line([name] + [f"{value:.1f}" for value in (size, slow, fast, fast / slow)]
                 + [differing])

    def tokenize_ours(self, path):
        output = subprocess.run(
            [self.arguments.bench, "tokenize", "--model", self.minilm, "--corpus", path, "--rounds",
             "1", "--ids", path + ".ids"], check=True, capture_output=True, text=True).stdout
        return dict(row.split("\t") for row in output.splitlines())

    # The whole command

    def encode_corpus(self):
        print(
            f"\n`retort encode` from JSON lines to .npy: {self.texts.corpus_count} SQuAD "
            "paragraphs, start included\n")
        table(["precision", "threads", "passages/s", "of encoding alone", "shares of the work",
               "peak MB"])
        for threads in self.threads:
            for ours in self.ours:
                precision = ours.removeprefix("retort-")
                command = [
                    self.arguments.retort, "encode", "--model", self.folder, "--corpus",
                    self.texts.corpus, "--output", f"{self.engine_cache}/corpus.npy", "--overwrite",
                    "--threads", str(threads), "--precision", precision, "--max-length", "256",
                    "--quiet", "--json"]
                note(f"{' '.join(command[:2])}, {ours}, {threads} threads")
                with quiet_machine():
                    start = time.perf_counter()
                    report = json.loads(
                        subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
                    speed = report["count"] / (time.perf_counter() - start)
                alone = self.results[threads][ours].get("natural")
                total = sum(report["stages"].values())
                shares = ", ".join(
                    f"{stage} {100 * seconds / total:.1f}%"
                    for stage, seconds in report["stages"].items() if seconds > 0)
                line([ours, threads, f"{speed:.1f}", f"{speed / alone:.2f}" if alone else "–",
                      shares, f"{report['peakBytes'] / 1e6:.0f}"])


def percentile(values, share):
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def table(head):
    line(head)
    line(["---"] * len(head))


def line(cells):
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def note(text):
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
