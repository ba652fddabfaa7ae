"""Steps of training beside PyTorch: same weights, same token ids, one run.

Called by `tools/bench train`, which makes the virtual environment; see there for the options.

A step is Margin-MSE of 8 triples by BERT_DOT over [CLS], with dropout 0.1, forwards and backwards, and
AdamW. "equal" are queries of 32 and passages of 128 random ids, "natural" are questions of SQuAD with
paragraphs of up to 256 tokens, which PyTorch pads to the longest of all queries and of all passages.
Tokens are those of the texts, without padding. Engines are processes of their own that are timed in turns.
"""

import argparse
import importlib.util
import os
import random
import statistics
import sys

spec = importlib.util.spec_from_file_location(
    "bench_encoders", os.path.join(os.path.dirname(__file__), "bench-encoders.py"))
encoders = importlib.util.module_from_spec(spec)
spec.loader.exec_module(encoders)

TRIPLES = 8
WORKS = ["equal", "natural"]


def main():
    parser = argparse.ArgumentParser(prog="tools/bench train", description=__doc__)
    for name in ["--peer", "--data", "--cache", "--bench", "--folder"]:
        parser.add_argument(name, help=argparse.SUPPRESS)
    parser.add_argument("--threads", default="2", help="thread counts, in order (2)")
    parser.add_argument("--rounds", type=int, default=12, help="steps that are timed (12)")
    parser.add_argument(
        "--precisions", default="", help="of Retort, by comma (f32, and bf16 where the CPU has it)")
    parser.add_argument(
        "--peers", default="", help="by comma (torch-f32, and torch-bf16 likewise); none")
    arguments = parser.parse_args()
    if arguments.peer:
        serve(arguments)
    else:
        Comparison(arguments).run()


# The triples --------------------------------------------------------------------------------------


def make_triples(data, source, cache):
    """Files of triples by the name of the work, and their numbers of tokens."""
    import tokenizers

    choice = random.Random(1)
    equal = []
    for _ in range(TRIPLES):
        for length in (32, 128, 128):
            equal.append([choice.randrange(1000, 30000) for _ in range(length)])
    tokenizer = tokenizers.Tokenizer.from_file(source + "/tokenizer.json")
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    folder = data + "/data/squad-train"
    questions = encoders.read_texts(folder + "/queries.jsonl")
    passages = encoders.read_texts(folder + "/corpus.jsonl")
    natural = []
    for query in choice.sample(questions, TRIPLES):
        texts = [query] + choice.sample(passages, 2)
        natural += [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    paths, tokens = {}, {}
    for name, sequences in zip(WORKS, (equal, natural)):
        paths[name] = f"{cache}/train-{name}.ids"
        tokens[name] = sum(map(len, sequences))
        encoders.write_ids(paths[name], sequences)
    return paths, tokens


# PyTorch ------------------------------------------------------------------------------------------


def padded(torch, sequences):
    longest = max(map(len, sequences))
    ids = torch.tensor([ids + [0] * (longest - len(ids)) for ids in sequences])
    mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids in sequences])
    return {"input_ids": ids, "attention_mask": mask}


def serve(arguments):
    import time

    import torch
    import transformers

    torch.set_num_threads(int(arguments.threads))
    model = transformers.AutoModel.from_pretrained(arguments.folder, add_pooling_layer=False)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0)
    works = {}

    def step(queries, passages):
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=arguments.peer.endswith("bf16")):
            query = model(**queries).last_hidden_state[:, 0].float()
            passage = model(**passages).last_hidden_state[:, 0].float()
        positive, negative = passage.unflatten(0, (-1, 2)).unbind(1)
        margins = (query * positive).sum(1) - (query * negative).sum(1)
        ((margins - 1) ** 2).mean().backward()
        optimizer.step()

    print("ready", flush=True)
    for line in sys.stdin:
        words = line.rstrip("\n").split("\t")
        if words[0] == "load":
            sequences = encoders.read_ids(words[2])
            works[words[1]] = (
                padded(torch, sequences[::3]),
                padded(torch, [ids for place, ids in enumerate(sequences) if place % 3]))
            print("loaded", flush=True)
        elif words[0] == "time":
            start = time.perf_counter()
            step(*works[words[1]])
            print(time.perf_counter() - start, flush=True)
        else:
            print(encoders.peak_bytes(), flush=True)
            return


# The comparison -----------------------------------------------------------------------------------


class Comparison:
    def __init__(self, arguments):
        self.arguments = arguments
        os.makedirs(arguments.cache, exist_ok=True)
        self.folder = arguments.data + "/models/all-MiniLM-L6-v2"
        self.paths, self.tokens = make_triples(arguments.data, self.folder, arguments.cache)
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            formats = ["f32", "bf16"] if "avx512_bf16" in file.read().split() else ["f32"]
        precisions = arguments.precisions.split(",") if arguments.precisions else formats
        self.ours = ["retort-" + name for name in precisions]
        peers = arguments.peers or ",".join("torch-" + name for name in formats)
        self.names = self.ours + [name for name in peers.split(",") if name != "none"]

    def start(self, name, threads):
        encoders.note(f"starting {name}, {threads} threads")
        if name in self.ours:
            command = [
                self.arguments.bench, "train", "--model", self.folder, "--threads", str(threads),
                "--precision", name.removeprefix("retort-")]
        else:
            command = [
                sys.executable, __file__, "--peer", name, "--threads", str(threads), "--folder",
                self.folder]
        return encoders.Engine(name, command, threads)

    def run(self):
        print(
            f"\nA step of {TRIPLES} triples: equal has {self.tokens['equal']} tokens, natural "
            f"{self.tokens['natural']}; medians of {self.arguments.rounds} interleaved steps\n")
        encoders.table([
            "engine", "threads", "equal, ms", "tokens/s", "natural, ms", "tokens/s", "peak MB"])
        for threads in [int(word) for word in self.arguments.threads.split(",")]:
            self.measure(threads)

    def measure(self, threads):
        engines = [self.start(name, threads) for name in self.names]
        times = {(engine.name, work): [] for engine in engines for work in WORKS}
        for engine in engines:
            for work in WORKS:
                engine.ask("load", work, self.paths[work])
                for _ in range(2):
                    engine.ask("time", work)
        with encoders.quiet_machine():
            for _ in range(self.arguments.rounds):
                for engine in engines:
                    for work in WORKS:
                        times[engine.name, work].append(float(engine.ask("time", work)))
        medians = {key: statistics.median(values) for key, values in times.items()}
        for engine in engines:
            cells = [engine.name, threads]
            for work in WORKS:
                seconds = medians[engine.name, work]
                cells += [f"{seconds * 1e3:.0f}", f"{self.tokens[work] / seconds:.0f}"]
            encoders.line(cells + [f"{int(engine.ask('end')) / 1e6:.0f}"])
        for ours in self.ours:
            for other in self.names:
                if other != ours:
                    encoders.note(f"{ours}, {threads} threads: " + ", ".join(
                        f"{medians[other, work] / medians[ours, work]:.2f} of {other} ({work})"
                        for work in WORKS))


if __name__ == "__main__":
    main()
