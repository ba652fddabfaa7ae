"""Retort's cross-encoder against PyTorch and ONNX Runtime, and against re-ranking from stored terms.

Called by `tools/bench cross-encoder`, which makes the virtual environment; see there for the options.

The model is a BERT body below a random head of one output; pairs are queries of Cranfield, each with
passages of it. Engines are processes of their own that are timed in turns, as in bench-encoders.py.
Retort scores query by query, the others get all pairs sorted by length and padded to the longest of
each batch. Where others use the machine, too, processor time tells more than the time that passed; at
several threads an engine that spins while it waits looks worse by it than it is.
"""

import argparse
import importlib.util
import os
import random
import shutil
import statistics
import subprocess
import sys

spec = importlib.util.spec_from_file_location(
    "bench_encoders", os.path.join(os.path.dirname(__file__), "bench-encoders.py"))
encoders = importlib.util.module_from_spec(spec)
spec.loader.exec_module(encoders)

PEERS = ["onnxruntime-int8", "onnxruntime-f32", "torch-f32"]


def main():
    parser = argparse.ArgumentParser(prog="tools/bench cross-encoder", description=__doc__)
    for name in ["--peer", "--data", "--cache", "--bench", "--folder"]:
        parser.add_argument(name, help=argparse.SUPPRESS)
    parser.add_argument("--threads", default="2,1", help="thread counts, in order (2,1)")
    parser.add_argument("--rounds", type=int, default=3, help="times that everything is timed (3)")
    parser.add_argument("--queries", type=int, default=8, help="queries (8)")
    parser.add_argument("--depth", type=int, default=32, help="passages of each (32)")
    parser.add_argument(
        "--precisions", default="int8,f32", help="of Retort, by comma (int8,f32)")
    parser.add_argument(
        "--peers", default=",".join(PEERS), help="by comma (" + ",".join(PEERS) + "); none")
    parser.add_argument("--stages", default="yes", choices=["yes", "no"],
                        help="time PreTTR and TK from stored terms, too (yes)")
    arguments = parser.parse_args()
    if arguments.peer:
        encoders.serve(arguments, {"torch": Torch, "onnxruntime": OnnxRuntime})
        return
    os.environ.update(TOKENIZERS_PARALLELISM="false")
    comparison = Comparison(arguments)
    comparison.run()
    if arguments.stages == "yes":
        comparison.run_stages()


# The model and the pairs --------------------------------------------------------------------------


def make_model(source, folder):
    """A cross-encoder of the body at `source`, made once; its head is random."""
    if os.path.exists(folder):
        return
    import torch
    import transformers

    torch.manual_seed(0)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(source, num_labels=1)
    model.save_pretrained(folder + ".tmp")
    for name in ("vocab.txt", "tokenizer_config.json"):
        shutil.copy(f"{source}/{name}", folder + ".tmp")
    os.rename(folder + ".tmp", folder)


def make_pairs(data, source, queries, depth):
    """Token ids of pairs, query by query; of a query's passages half share a word with it."""
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_file(source + "/tokenizer.json")
    tokenizer.no_padding()
    tokenizer.enable_truncation(512)
    passages = encoders.read_texts(data + "/corpus.jsonl")
    texts = encoders.read_texts(data + "/queries.jsonl")
    choice = random.Random(1)
    pairs = []
    for query in choice.sample(texts, queries):
        words = {word for word in query.split() if len(word) > 5}
        near = [text for text in passages if not words.isdisjoint(text.split())]
        chosen = choice.sample(near, min(depth // 2, len(near)))
        chosen += choice.sample(passages, depth - len(chosen))
        pairs += [(query, passage) for passage in chosen]
    return [encoding.ids for encoding in tokenizer.encode_batch(pairs)]


# The peers ----------------------------------------------------------------------------------------


def types_of(ids, mask):
    """0 as far as the first [SEP], a sequence's last id, and 1 behind it."""
    import numpy

    last = ids[numpy.arange(len(ids)), mask.sum(1) - 1]
    separators = (ids == last[:, None]) & (mask == 1)
    return (((separators.cumsum(1) - separators) > 0) & (mask == 1)).astype("int64")


def load_torch(folder, attention):
    import torch
    import transformers

    class PairScorer(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = transformers.AutoModelForSequenceClassification.from_pretrained(
                folder, attn_implementation=attention, dtype=torch.float32)

        def forward(self, ids, mask, types):
            return self.model(
                input_ids=ids, attention_mask=mask, token_type_ids=types).logits

    return PairScorer().eval()


class Torch:
    def __init__(self, folder, cache, precision, threads):
        import torch

        torch.set_num_threads(threads)
        self.torch = torch
        self.model = load_torch(folder, "sdpa")

    def encode(self, ids, mask):
        arrays = [self.torch.from_numpy(array) for array in (ids, mask, types_of(ids, mask))]
        with self.torch.inference_mode():
            return self.model(*arrays).numpy()


class OnnxRuntime(encoders.OnnxRuntime):
    def export(self, folder, cache):
        path = cache + "/model.onnx"
        if not os.path.exists(path):
            import torch

            ids = torch.randint(1000, 30000, (2, 16))
            mask = torch.ones_like(ids)
            mask[1, 9:] = 0
            types = torch.zeros_like(ids)
            types[:, 5:] = 1
            names = ["ids", "mask", "types"]
            torch.onnx.export(
                load_torch(folder, "eager"), (ids, mask, types), path + ".tmp",
                input_names=names, output_names=["scores"], opset_version=17, dynamo=False,
                dynamic_axes={name: {0: "batch", 1: "length"} for name in names}
                | {"scores": {0: "batch"}})
            os.rename(path + ".tmp", path)
        return path

    def encode(self, ids, mask):
        return self.session.run(
            None, {"ids": ids, "mask": mask, "types": types_of(ids, mask)})[0]


# The comparison -----------------------------------------------------------------------------------


def processor_seconds(engine):
    """Seconds that all threads of an engine's process have worked."""
    with open(f"/proc/{engine.process.pid}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Comparison:
    def __init__(self, arguments):
        self.arguments = arguments
        self.cache = arguments.cache + "/cross-encoder"
        os.makedirs(self.cache, exist_ok=True)
        self.folder = self.cache + "/model"
        source = arguments.data + "/models/all-MiniLM-L6-v2"
        self.corpus = arguments.data + "/data/cranfield"
        make_model(source, self.folder)
        self.pairs = make_pairs(self.corpus, source, arguments.queries, arguments.depth)
        self.path = self.cache + "/pairs.ids"
        encoders.write_ids(self.path, self.pairs)
        self.ours = ["retort-" + name for name in arguments.precisions.split(",") if name]
        self.names = self.ours + [name for name in arguments.peers.split(",") if name != "none"]

    def start(self, name, threads):
        encoders.note(f"starting {name}, {threads} threads")
        if name in self.ours:
            command = [
                self.arguments.bench, "encode", "--cross-encoder", "--model", self.folder,
                "--threads", str(threads), "--precision", name.removeprefix("retort-")]
        else:
            command = [
                sys.executable, __file__, "--peer", name, "--threads", str(threads), "--folder",
                self.folder, "--cache", self.cache]
        return encoders.Engine(name, command, threads)

    def run(self):
        lengths = [len(ids) for ids in self.pairs]
        print(
            f"\n{len(lengths)} pairs of {statistics.mean(lengths):.0f} tokens in the mean, up to "
            f"{max(lengths)}; medians of {self.arguments.rounds} interleaved rounds\n")
        encoders.table([
            "engine", "threads", "pairs/s", "pairs a second of processor time",
            "correlation with f32"])
        for threads in [int(word) for word in self.arguments.threads.split(",")]:
            self.measure(threads)

    def measure(self, threads):
        engines = [self.start(name, threads) for name in self.names]
        for engine in engines:
            batch = self.arguments.depth if engine.name in self.ours else 32
            engine.ask("load", "pairs", self.path, batch)
            engine.ask("latency", "pairs", 1)
        seconds = {engine.name: ([], []) for engine in engines}
        with encoders.quiet_machine():
            for number in range(self.arguments.rounds):
                encoders.note(f"{threads} threads, round {number + 1}")
                for engine in engines:
                    before = processor_seconds(engine)
                    seconds[engine.name][0].append(float(engine.ask("time", "pairs")))
                    seconds[engine.name][1].append(processor_seconds(engine) - before)
        scores = self.scores(engines)
        speeds = {}
        for engine in engines:
            speeds[engine.name] = [
                len(self.pairs) / statistics.median(values) for values in seconds[engine.name]]
            encoders.line(
                [engine.name, threads] + [f"{speed:.1f}" for speed in speeds[engine.name]]
                + [self.correlation(scores, engine.name)])
        for ours in self.ours:
            others = [name for name in self.names if name != ours]
            ratios = [
                f"{speeds[ours][0] / speeds[name][0]:.2f} ({speeds[ours][1] / speeds[name][1]:.2f}) "
                f"of {name}" for name in others]
            encoders.note(f"{ours}, {threads} threads: " + ", ".join(ratios))
        for engine in engines:
            engine.ask("end")

    def scores(self, engines):
        import numpy

        scores = {}
        for engine in engines:
            path = f"{self.cache}/{engine.name}.npy"
            engine.ask("vectors", "pairs", path)
            scores[engine.name] = numpy.load(path).reshape(-1, self.arguments.depth)
        return scores

    def correlation(self, scores, name):
        """Of scores within queries, with those of PyTorch, or ours, in f32."""
        reference = scores.get("torch-f32", scores.get("retort-f32"))
        if reference is None:
            return "–"
        one, other = (values - values.mean(1, keepdims=True) for values in (scores[name], reference))
        return f"{(one * other).sum() / ((one * one).sum() * (other * other).sum()) ** 0.5:.4f}"

    def run_stages(self):
        for threads in self.arguments.threads.split(","):
            print(f"\nStages of a search over Cranfield, {threads} threads\n", flush=True)
            subprocess.run(
                [self.arguments.bench, "stages", "--model", self.folder, "--corpus", self.corpus,
                 "--threads", threads, "--rounds", str(self.arguments.rounds)], check=True)


if __name__ == "__main__":
    main()
