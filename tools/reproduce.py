"""The stages and tables of tools/reproduce, which says how to run it. Standard library only.

A stage is a list of commands of the program and of functions of this file. Its key is a digest of
these and of the keys of what it reads: where the record of a finished stage has the same key it is
skipped, where a stopped stage has it the commands go on (--resume), else all is made anew.
"""

import argparse
import fcntl
import functools
import hashlib
import json
import math
import os
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import time
import unicodedata
from array import array
from collections import defaultdict

# What a scale of 1 trains, and with which rates. Rates were chosen on the questions of `dev`, which
# are not those of `test`, with one seed.
BATCH = 16
NEGATIVES = 2
STUDENT_STEPS = 1000
TEACHER_EPOCHS = 2
# A teacher that has learned little has nothing to teach, so what it learns from does not fall with the
# scale below this many triples.
LEAST_TEACHING = 2560
WORDS_OF_A_PASSAGE = 40
CANDIDATES = 20
QUESTIONS_OF_A_BIN = 64
STUDENT_LAYERS = 2
TEACHERS = {"a": 6, "b": 4, "c": 3}

LENGTHS = ["--query-length", "24", "--passage-length", "72"]
# A name, a kind of re-ranker, a start and options of training.
#
# ColBERT sums products of raw vectors: at its start margins are some seven times those of a teacher, and
# steps that shrink them ruin what the body knows. Its last vectors are therefore scaled by 0.4. PreTTR needs
# two layers that read query and passage together to learn anything within some hundred steps.
STUDENTS = {
    "tk": ("TK", "tk", "words", [
        "--model", "tk", "--embeddings", "words.txt", *LENGTHS, "--learning-rate", "3e-4",
        "--head-rate", "3e-3"]),
    "colbert": ("ColBERT", "colbert", "body-2-scaled", [
        "--model", "colbert", "--variant", "hofstaetter", *LENGTHS, "--learning-rate", "5e-5"]),
    "prettr": ("PreTTR", "prettr", "body-3", [
        "--model", "prettr", "--split-layer", "1", *LENGTHS, "--learning-rate", "4e-4",
        "--head-rate", "2e-3"]),
    "bert-dot": ("BERT_DOT", "dot", "body-2", [
        "--model", "bert-dot", *LENGTHS, "--learning-rate", "2e-4"]),
}
SCALED = 0.4
TEACHING = ["--model", "bert-cat", "--passage-length", "96", "--loss", "ranknet",
            "--learning-rate", "1e-4", "--head-rate", "1e-3"]

# What students learn from: a loss, and the scores that it takes.
TARGETS = {
    "none": ("no teacher", "ranknet", None),
    "t1": ("T1", "margin-mse", "t1"),
    "t2": ("T2", "margin-mse", "t2"),
    "pile": ("PILE", "margin-mse", "pile"),
    "weighted": ("weighted RankNet, T1", "weighted-ranknet", "t1"),
    "pointwise": ("pointwise MSE, T1", "mse", "t1"),
}
TABLE = ["none", "t1", "t2", "pile"]
ABLATION = ["none", "weighted", "pointwise", "t1"]
ABLATED = ["tk", "colbert", "bert-dot"]
MEASURES = ["nDCG@10", "RR@10"]
BLOCKS = ["setting", "teachers", "students", "losses", "times"]


# Data


def clean(text):
    return " ".join(text.split())


def json_lines(path):
    with open(path) as file:
        return [json.loads(line) for line in file if line.strip()]


def windows(text):
    """Whole sentences, as many as fit into a passage's words."""
    parts, words = [], []
    for sentence in re.split(r"(?<=[.!?])\s+", clean(text)):
        more = sentence.split()
        if words and len(words) + len(more) > WORDS_OF_A_PASSAGE:
            parts.append(" ".join(words))
            words = []
        words += more
    return parts + [" ".join(words)] if words else parts


def judgements(path):
    """The relevant passages of every question, of BEIR or TREC qrels."""
    found = defaultdict(list)
    with open(path) as file:
        for fields in map(str.split, file):
            if fields and fields[-1].lstrip("-").isdigit() and int(fields[-1]) > 0:
                found[fields[0]].append(fields[-2])
    return found


def write_lines(path, lines):
    with open(path + ".new", "w") as file:
        file.writelines(line + "\n" for line in lines)
    os.replace(path + ".new", path)


def write_part(name, ids, texts, relevant):
    write_lines(name + ".tsv", (f"{id}\t{texts[id]}" for id in ids))
    write_lines(name + ".qrels", (f"{id} 0 {relevant[id]} 1" for id in ids))


def prepare(data, teaching, train, pool):
    """Cuts passages into windows, and draws questions of which one window holds the answer.

    Teachers learn from other questions than students: of those that a teacher has learned it has none
    wrong, and its margins say little more than their labels.
    """
    parts = {row["_id"]: windows(row["text"]) for row in json_lines(data + "/corpus.jsonl")}
    write_lines("corpus.jsonl", (
        json.dumps({"_id": f"{id}.{number}", "text": text})
        for id, texts in parts.items() for number, text in enumerate(texts)))
    rows = {row["_id"]: row for row in json_lines(data + "/queries.jsonl")}
    for name, split, count in [("train", "train", teaching + train), ("pool", "valid", pool)]:
        relevant = judgements(f"{data}/qrels/{split}.tsv")
        ids = sorted(id for id, found in relevant.items() if len(found) == 1 and id in rows)
        random.Random(7).shuffle(ids)
        kept = {}
        for id in ids:
            texts = parts.get(relevant[id][0], [])
            answers = rows[id].get("answers") or []
            # Without answers only a passage that was not cut says where they are.
            holders = [number for number, text in enumerate(texts)
                       if any(answer in text for answer in answers) or len(texts) == 1]
            if len(holders) == 1:
                kept[id] = f"{relevant[id][0]}.{holders[0]}"
            if len(kept) == count:
                break
        texts = {id: clean(rows[id]["text"]) for id in kept}
        if name == "train":
            # Where there are fewer than asked for, both get their shares.
            share = len(kept) * teaching // (teaching + train)
            write_part("teaching", list(kept)[:share], texts, kept)
            write_part(name, list(kept)[share:], texts, kept)
        else:
            write_part(name, list(kept), texts, kept)


def read_questions(name):
    with open(name + ".tsv") as file:
        texts = dict(line.rstrip("\n").split("\t") for line in file)
    return texts, {id: found[0] for id, found in judgements(name + ".qrels").items()}


def read_run(path):
    ranked = defaultdict(list)
    with open(path) as file:
        for query, _, passage, _, score, _ in map(str.split, file):
            ranked[query].append((passage, float(score)))
    return ranked


def sample(count):
    """Draws held-out questions as evenly as there are over where BM25 puts their answer."""
    texts, relevant = read_questions("pool")
    ranked = read_run("pool.trec")
    bins = defaultdict(list)
    for id in texts:
        found = [passage for passage, _ in ranked[id][:CANDIDATES]]
        if relevant[id] in found:
            bins[min(4, 5 // (found.index(relevant[id]) + 1))].append(id)
    for name, first in [("test", 0), ("dev", count)]:
        size = count if name == "test" else max(1, count // 3)
        ids = [id for key in sorted(bins) for id in bins[key][first:first + size]]
        write_part(name, ids, texts, relevant)
        write_lines(name + ".trec", (
            f"{id} Q0 {passage} {rank + 1} {score} bm25"
            for id in ids for rank, (passage, score) in enumerate(ranked[id][:CANDIDATES])))


# Models


def open_tensors(path):
    """The header of a safetensors file and the offset of its data."""
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(size))
    header.pop("__metadata__", None)
    return header, 8 + size


def cut(model, folder, layers, factor=1):
    """Writes the first layers of an encoder as one of its own, its last vectors times a factor."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    for name in os.listdir(model):
        source = os.path.join(model, name)
        if name.startswith("model.safetensors") or name.startswith("pytorch_model"):
            continue
        if os.path.isdir(source):
            # Of the folders only the modules' settings are small and wanted.
            if os.path.exists(source + "/config.json"):
                os.makedirs(f"{folder}/{name}")
                shutil.copyfile(source + "/config.json", f"{folder}/{name}/config.json")
        else:
            shutil.copyfile(source, f"{folder}/{name}")
    with open(model + "/config.json") as file:
        configuration = json.load(file)
    layers = min(layers, configuration["num_hidden_layers"])
    configuration["num_hidden_layers"] = layers
    os.remove(folder + "/config.json")
    write_lines(folder + "/config.json", [json.dumps(configuration, indent=2)])
    header, start = open_tensors(model + "/model.safetensors")
    kept, end = {}, 0
    for name, tensor in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        layer = re.search(r"\blayer\.(\d+)\.", name)
        if layer is None or int(layer[1]) < layers:
            size = tensor["data_offsets"][1] - tensor["data_offsets"][0]
            kept[name] = dict(tensor, data_offsets=[end, end + size])
            end += size
    text = json.dumps(kept).encode()
    text += b" " * (-len(text) % 8)
    with open(model + "/model.safetensors", "rb") as source, \
            open(folder + "/model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in kept:
            first, last = header[name]["data_offsets"]
            source.seek(start + first)
            values = source.read(last - first)
            if factor != 1 and f"layer.{layers - 1}.output.LayerNorm." in name:
                values = array("f", (factor * value for value in array("f", values))).tobytes()
            file.write(values)


def pieces(word, vocabulary):
    """WordPiece: the longest known beginning, again and again; nothing where one is unknown."""
    found, first = [], 0
    while first < len(word):
        prefix = "##" if first else ""
        last = next((end for end in range(len(word), first, -1)
                     if prefix + word[first:end] in vocabulary), None)
        if last is None:
            return []
        found.append(vocabulary[prefix + word[first:last]])
        first = last
    return found


def word_vectors(model):
    """TK's start: for every word of the corpus the mean of its pieces in the encoder's word table."""
    with open(model + "/vocab.txt") as file:
        vocabulary = {line.rstrip("\n"): number for number, line in enumerate(file)}
    header, start = open_tensors(model + "/model.safetensors")
    name = next(name for name in header if name.endswith("word_embeddings.weight"))
    rows, width = header[name]["shape"]
    table = array("f")
    with open(model + "/model.safetensors", "rb") as file:
        file.seek(start + header[name]["data_offsets"][0])
        table.frombytes(file.read(4 * rows * width))
    counts = defaultdict(int)
    for path in ["corpus.jsonl", "teaching.tsv", "train.tsv", "test.tsv", "dev.tsv"]:
        with open(path) as file:
            for line in file:
                text = json.loads(line)["text"] if path.endswith("l") else line.split("\t")[1]
                # Words of questions count twice, so that none is unknown.
                for word in re.findall(r"\w+|[^\w\s]", text.lower()):
                    counts[word] += 1 if path.endswith("l") else 2
    # TK adds positions, and mixes words with contexts, whose numbers are about 1: smaller words drown.
    scale = 1 / math.sqrt(sum(x * x for x in table) / len(table))
    with open("words.txt.new", "w") as file:
        for word in sorted(word for word, count in counts.items() if count > 1):
            plain = "".join(letter for letter in unicodedata.normalize("NFD", word)
                            if unicodedata.category(letter) != "Mn")
            found = pieces(plain, vocabulary)
            if found:
                factor = scale / len(found)
                vectors = [table[id * width:(id + 1) * width] for id in found]
                file.write(word + " " + " ".join(
                    f"{factor * sum(values):.4g}" for values in zip(*vectors)) + "\n")
    os.replace("words.txt.new", "words.txt")


def mean_run(output, *runs):
    """The mean of several runs' scores of the same candidates."""
    total = defaultdict(float)
    for run in runs:
        for query, found in read_run(run).items():
            for passage, score in found:
                total[query, passage] += score / len(runs)
    write_lines(output, (f"{query} Q0 {passage} 1 {score:.6f} mean"
                         for (query, passage), score in total.items()))


def remove(*paths):
    for path in paths:
        # A folder goes as a whole: half of one could be taken for work to go on with.
        shutil.rmtree(path + ".removed", ignore_errors=True)
        if os.path.isdir(path):
            os.rename(path, path + ".removed")
            shutil.rmtree(path + ".removed")
        elif os.path.isfile(path):
            os.remove(path)


# Stages


class Stage:
    """`steps` are commands of the program (lists), or tuples of a function's name and arguments."""

    def __init__(self, name, kind, steps, needs=(), makes=()):
        self.name, self.kind, self.steps, self.needs, self.makes = name, kind, steps, needs, makes


def measure(run, name):
    return ["eval", "test.qrels", run, *MEASURES, "--per-query", "--json", ">", f"results/{name}.json"]


def sizes(scale):
    """Triples of teachers and of students, as far as there are questions."""
    triples = max(1, round(STUDENT_STEPS * scale)) * BATCH
    return max(triples, LEAST_TEACHING), triples


def plan(data, model, scale, seeds, students):
    teaching, triples = sizes(scale)
    steps = triples // BATCH
    # Fewer questions than this cannot tell students apart, whatever the scale.
    pool = 40 * QUESTIONS_OF_A_BIN
    texts = ["--collection", "corpus.jsonl", "--queries", "train.tsv"]
    teaching_texts = ["--collection", "corpus.jsonl", "--queries", "teaching.tsv"]
    stages = [Stage("data", "data", [
        ("prepare", data, teaching // NEGATIVES, triples // NEGATIVES, pool)], (),
        ["corpus.jsonl", *(name + end for name in ("teaching", "train", "pool")
                           for end in (".tsv", ".qrels"))])]

    def add(name, kind, steps, needs, makes):
        stages.append(Stage(name, kind, steps, needs, makes))

    for layers in sorted({STUDENT_LAYERS, 1, *TEACHERS.values()}):
        add(f"body-{layers}", "data", [("cut", model, f"body-{layers}", layers)], (), [f"body-{layers}"])
    scaled = f"body-{STUDENT_LAYERS}-scaled"
    if "colbert" in students:
        add(scaled, "data", [("cut", model, scaled, STUDENT_LAYERS, SCALED)], (), [scaled])
    # An index has vectors, too; nobody asks for these, so they are made in the fastest way.
    add("index", "data", [
        ["index", "build", "--corpus", "corpus.jsonl", "--model", "body-1", "--max-length", "8", "--m",
         "4", "--ef-construction", "16", "--lexical", "--output", "index"]],
        ["data", "body-1"], ["index"])
    add("candidates", "data", [
        ["search", "index", "--topics", "pool.tsv", "--lexical", "--hits", str(CANDIDATES), "--output",
         "pool.trec"], ("sample", QUESTIONS_OF_A_BIN)], ["index"],
        [name + end for name in ("test", "dev") for end in (".tsv", ".qrels", ".trec")])
    for name, output in [("teaching", "teaching-triples"), ("train", "triples")]:
        add(output, "data", [
            ["mine", "--index", "index", "--queries", name + ".tsv", "--qrels", name + ".qrels",
             "--from", "words", "--negatives", str(NEGATIVES), "--ranks", "1-30", "--output",
             output + ".tsv"]], ["index"], [output + ".tsv"])
    if "tk" in students:
        add("words", "data", [("word_vectors", f"body-{STUDENT_LAYERS}")],
            ["candidates", f"body-{STUDENT_LAYERS}"], ["words.txt"])

    def rank(name, model):
        return ["rerank", "test.trec", "--topics", "test.tsv", "--corpus", "corpus.jsonl", "--model",
                model, "--precision", "f32", "--output", f"runs/{name}.trec"]

    def judge(name, kind, model, needs):
        add(name, kind, [rank(name, model), measure(f"runs/{name}.trec", name)], needs,
            [f"runs/{name}.trec", f"results/{name}.json"])

    add("bm25", "evaluation", [measure("test.trec", "bm25")], ["candidates"], ["results/bm25.json"])
    judge("start", "evaluation", f"dot:body-{STUDENT_LAYERS}",
          ["candidates", f"body-{STUDENT_LAYERS}"])
    whole = max(TEACHERS.values())
    judge("whole", "evaluation", f"dot:body-{whole}", ["candidates", f"body-{whole}"])

    for number, (name, layers) in enumerate(TEACHERS.items()):
        add(f"teacher-{name}", "teachers", [
            ["train", *TEACHING, "--init", f"body-{layers}", "--triples",
             "teaching-triples.tsv", *teaching_texts, "--batch-size", str(BATCH), "--epochs", str(TEACHER_EPOCHS), "--warmup", "20",
             "--seed", str(101 + number), "--checkpoint-every", "100", "--output",
             f"teacher-{name}"]],
            ["teaching-triples", f"body-{layers}"],
            [f"teacher-{name}", f"teacher-{name}.checkpoints"])
        judge(f"cat-{name}", "evaluation", f"cat:teacher-{name}", ["candidates", f"teacher-{name}"])
        add(f"scores-{name}", "teachers' scores", [
            ["teach", "--model", f"teacher-{name}", "--triples", "triples.tsv", *texts, "--output",
             f"scores-{name}.tsv"]], ["triples", f"teacher-{name}"], [f"scores-{name}.tsv"])
    runs = [f"runs/cat-{name}.trec" for name in TEACHERS]
    add("cat-mean", "evaluation", [
        ("mean_run", "runs/cat-mean.trec", *runs), measure("runs/cat-mean.trec", "cat-mean")],
        [f"cat-{name}" for name in TEACHERS], ["runs/cat-mean.trec", "results/cat-mean.json"])
    scores = {name: f"scores-{name}.tsv" for name in TEACHERS}
    targets = {"t1": scores[next(iter(TEACHERS))]}
    sources = {"t1": "scores-" + next(iter(TEACHERS))}
    for name, method in [("t2", "mean"), ("pile", "pile")]:
        add(name, "teachers' scores", [
            ["ensemble", *scores.values(), "--method", method, "--output", f"{name}.tsv"]],
            [f"scores-{teacher}" for teacher in TEACHERS], [f"{name}.tsv"])
        targets[name], sources[name] = f"{name}.tsv", name

    # Seeds are the outer loop, so that a run that is not finished has whole tables of fewer seeds.
    for seed in range(1, seeds + 1):
        for target, (_, loss, teacher) in TARGETS.items():
            for student in students:
                if target not in TABLE and student not in ABLATED:
                    continue
                name = f"{student}-{target}-{seed}"
                _, kind, body, options = STUDENTS[student]
                start = [] if student == "tk" else ["--init", body]
                file = ["--teacher-scores", targets[teacher]] if teacher else \
                    ["--triples", "triples.tsv"]
                needs = ["triples", "candidates", sources[teacher] if teacher else "triples", body]
                add(name, "students", [
                    ["train", *options, *start, "--loss", loss, *file, *texts, "--batch-size",
                     str(BATCH), "--steps", str(steps), "--warmup", str(steps // 10), "--seed",
                     str(seed), "--checkpoint-every", "200", "--output", "students/" + name],
                    rank(name, f"{kind}:students/{name}"),
                    measure(f"runs/{name}.trec", name),
                    # Sixty megabytes each, of which nothing is read again.
                    ("remove", "students/" + name, f"students/{name}.checkpoints")], needs,
                    ["students/" + name, f"students/{name}.checkpoints", f"runs/{name}.trec",
                     f"results/{name}.json"])
    return stages


class Runner:
    """Runs stages in a folder and keeps the record of them."""

    # Commands that keep what they have when they are stopped, and go on with it.
    RESUMABLE = {"train", "teach", "mine", "rerank", "index"}

    def __init__(self, program, stages):
        self.program, self.stages = program, {stage.name: stage for stage in stages}
        # Commands hold the lock, too: one that outlives this process must not meet another.
        self.lock = []

    @functools.cache
    def key(self, name):
        stage = self.stages[name]
        text = json.dumps([stage.steps, [self.key(need) for need in stage.needs]])
        return hashlib.sha256(text.encode()).hexdigest()

    def state(self, name):
        """The record of a stage under its present key, or nothing."""
        try:
            with open(f"record/{name}.json") as file:
                record = json.load(file)
        except (OSError, ValueError):
            return {}
        return record if record.get("key") == self.key(name) else {}

    def is_done(self, name):
        return self.state(name).get("done", False)

    def write(self, name, record):
        write_lines(f"record/{name}.json", [json.dumps(record)])

    def run_all(self):
        for folder in ("record", "results", "runs", "students", "logs"):
            os.makedirs(folder, exist_ok=True)
        count = len(self.stages)
        for number, name in enumerate(self.stages, 1):
            if not self.is_done(name):
                left = self.seconds_left(list(self.stages)[number - 1:])
                print(f"[{number}/{count}] {name}{left}", file=sys.stderr, flush=True)
                self.run(self.stages[name])

    def seconds_left(self, names):
        """An estimate from the finished stages of the same kind."""
        known = defaultdict(list)
        for name, stage in self.stages.items():
            if self.is_done(name):
                known[stage.kind].append(self.state(name)["wall"])
        kinds = [self.stages[name].kind for name in names]
        if any(kind not in known for kind in kinds):
            return ""
        seconds = sum(sum(known[kind]) / len(known[kind]) for kind in kinds)
        return f", about {seconds / 60:.0f} min left"

    def run(self, stage):
        record = self.state(stage.name)
        if not record:
            # What another command left must not be taken for this one's beginning.
            remove(*stage.makes, *(path + ".part" for path in stage.makes))
            record = {"key": self.key(stage.name), "steps": stage.steps, "wall": 0, "cpu": 0,
                      "done": False}
            self.write(stage.name, record)
        wall, used = time.monotonic(), processor_seconds()
        try:
            for step in stage.steps:
                self.step(step, f"logs/{stage.name}.log")
            record["done"] = True
        finally:
            spent = {"wall": round(time.monotonic() - wall, 2),
                     "cpu": round(processor_seconds() - used, 2)}
            for field, seconds in spent.items():
                record[field] = round(record[field] + seconds, 2)
            self.write(stage.name, record)
            with open("times.jsonl", "a") as file:
                file.write(json.dumps({"stage": stage.name, "kind": stage.kind, **spent,
                                       "done": record["done"]}) + "\n")

    def step(self, step, log):
        if isinstance(step, tuple):
            return globals()[step[0]](*step[1:])
        command, output = step, None
        if ">" in step:
            command, output = step[:-2], step[-1]
        command = [self.program, *command]
        if step[0] in self.RESUMABLE:
            command.append("--resume")
        elif step[0] == "ensemble":
            command.append("--overwrite")
        if step[0] != "eval":
            command.append("--quiet")
        with open(log, "a") as messages:
            if output is None:
                status = self.wait(command, messages, messages)
            else:
                with open(output + ".new", "w") as file:
                    status = self.wait(command, messages, file)
                if status == 0:
                    os.replace(output + ".new", output)
        if status != 0:
            with open(log) as messages:
                last = (messages.read().rstrip().split("\n") or [""])[-1]
            fail(f"`retort {' '.join(command[1:])}` ended with {status}: {last}\n"
                 f"its messages are in {os.path.abspath(log)}; run again to go on")

    def wait(self, command, messages, output):
        child = subprocess.Popen(command, stderr=messages, stdout=output, pass_fds=self.lock)
        try:
            return child.wait()
        except BaseException as reason:
            # It writes a checkpoint before it ends. Ctrl-C has reached it already, and a second signal
            # would end it at once.
            if not isinstance(reason, KeyboardInterrupt):
                child.send_signal(signal.SIGINT)
            child.wait()
            raise


def processor_seconds():
    own, children = (resource.getrusage(who) for who in
                     (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def fail(message, status=1):
    print(f"reproduce: error: {message}", file=sys.stderr)
    sys.exit(status)


# Tables


def beta_fraction(a, b, x):
    """The continued fraction of the incomplete beta function, by Lentz's method."""
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    total = d
    for m in range(1, 400):
        for term in (m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
                     -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))):
            d = 1 / (1 + term * d)
            c = 1 + term / c
            total *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return total


def t_probability(t, degrees):
    """Two-sided p of Student's t."""
    a, b = degrees / 2, 0.5
    x = degrees / (degrees + t * t)
    if x >= 1:
        return 1.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
                     + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * beta_fraction(a, b, x) / a
    return 1 - front * beta_fraction(b, a, 1 - x) / b


def paired_test(one, other):
    """p of the paired t-test over questions; nothing for fewer than two or where none differ."""
    differences = [one[query] - other[query] for query in one if query in other]
    count = len(differences)
    if count < 2:
        return None
    mean = sum(differences) / count
    variance = sum((x - mean) ** 2 for x in differences) / (count - 1)
    return t_probability(mean / math.sqrt(variance / count), count - 1) if variance > 0 else 1.0


def number(value, digits=3):
    text = f"{value:.{digits}f}"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


class Results:
    """What the finished stages measured."""

    def __init__(self, runner, seeds):
        self.runner, self.seeds = runner, seeds

    @functools.cache
    def read(self, name):
        """Values by question, or nothing where the stage is not finished."""
        if name not in self.runner.stages or not self.runner.is_done(name):
            return None
        with open(f"results/{name}.json") as file:
            return json.load(file)["runs"][0]["per_query"]

    def values(self, name, measure):
        found = self.read(name)
        return found and {query: row[measure] for query, row in found.items()}

    def cell(self, student, target, measure):
        """A value for every finished seed, each a dictionary by question."""
        names = (f"{student}-{target}-{seed}" for seed in range(1, self.seeds + 1))
        return [found for found in (self.values(name, measure) for name in names) if found]

    def mean(self, name, measure):
        found = self.values(name, measure)
        return "–" if not found else number(sum(found.values()) / len(found))

    def spread(self, student, target, measure):
        """mean ± deviation over the seeds."""
        cell = self.cell(student, target, measure)
        if not cell:
            return "–"
        means = [sum(seed.values()) / len(seed) for seed in cell]
        mean = sum(means) / len(means)
        if len(means) == 1:
            return number(mean) + (" (1 seed)" if self.seeds > 1 else "")
        deviation = math.sqrt(sum((x - mean) ** 2 for x in means) / (len(means) - 1))
        missing = f" ({len(means)} seeds)" if len(means) < self.seeds else ""
        return f"{number(mean)} ± {number(deviation)}{missing}"

    def against(self, student, target, measure, base="none"):
        """The difference to another target over the seeds that both have, and its p."""
        one, other = self.cell(student, target, measure), self.cell(student, base, measure)
        count = min(len(one), len(other))
        if target == base or not count:
            return "", ""
        one, other = ({query: sum(seed[query] for seed in cell[:count]) / count for query in cell[0]}
                      for cell in (one, other))
        mean = sum(one.values()) / len(one) - sum(other.values()) / len(other)
        p = paired_test(one, other)
        sign = "+" if mean >= 0 else "−"
        return sign + number(abs(mean)), "–" if p is None else "< .001" if p < 0.001 else number(p)


def table(head, rows):
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def teachers_table(results):
    rows = [("BM25", "", "bm25"),
            (f"BERT_DOT's start: {STUDENT_LAYERS} layers, as an encoder", "", "start"),
            ("all layers of the start, as an encoder", "", "whole")]
    for position, (name, layers) in enumerate(TEACHERS.items()):
        rows.append((f"BERT_CAT {name.upper()}, {layers} layers" + (" (T1)" if position == 0 else ""),
                     f"scores-{name}.tsv", f"cat-{name}"))
    rows.append(("mean of the three (T2)", "mean", "cat-mean"))
    rows.append(("PILE of the three, on the triples alone", "pile", ""))
    wrong = wrong_pairs(results.runner)
    return table(["ranker", *MEASURES, "triples it has wrong"], (
        (label, *(results.mean(name, measure) for measure in MEASURES), wrong.get(file, ""))
        for label, file, name in rows))


def wrong_pairs(runner):
    """How many of the triples each teacher and each ensemble puts the wrong way round."""
    found = {}
    stages = {**{f"scores-{name}.tsv": f"scores-{name}" for name in TEACHERS},
              "mean": "t2", "pile": "pile"}
    for name, stage in stages.items():
        if runner.is_done(stage):
            with open(stage + ".tsv") as file:
                pairs = [line.split("\t", 2)[:2] for line in file]
            wrong = sum(float(positive) <= float(negative) for positive, negative in pairs)
            found[name] = f"{100 * wrong / max(len(pairs), 1):.1f} %"
    return found


def students_table(results, students):
    rows = []
    for student in students:
        for target in TABLE:
            difference, p = results.against(student, target, "nDCG@10")
            rows.append((STUDENTS[student][0], TARGETS[target][0],
                         *(results.spread(student, target, measure) for measure in MEASURES),
                         difference, p))
    return table(["student", "teacher", *MEASURES, "nDCG@10 − no teacher", "p"], rows)


def ablation_table(results, students):
    rows = []
    for student in students:
        for target in ABLATION if student in ABLATED else []:
            difference, p = results.against(student, target, "nDCG@10")
            label = {"none": "RankNet, no teacher", "t1": "Margin-MSE, T1"}.get(
                target, TARGETS[target][0])
            rows.append((STUDENTS[student][0], label,
                         *(results.spread(student, target, measure) for measure in MEASURES),
                         difference, p))
    return table(["student", "loss", *MEASURES, "nDCG@10 − no teacher", "p"], rows)


def times_table(runner):
    groups = defaultdict(list)
    for name, stage in runner.stages.items():
        groups[stage.kind].append(runner.state(name))
    rows, total = [], [0, 0, 0, 0]
    for kind, records in groups.items():
        done = [record for record in records if record.get("done")]
        values = [len(done), len(records), sum(record.get("wall", 0) for record in records),
                  sum(record.get("cpu", 0) for record in records)]
        total = [a + b for a, b in zip(total, values)]
        rows.append((kind, values))
    rows.append(("all", total))
    return table(["stages", "finished", "wall time, min", "processor time, min"], (
        (kind, f"{done} of {count}", f"{wall / 60:.1f}", f"{cpu / 60:.1f}")
        for kind, (done, count, wall, cpu) in rows))


def setting_lines(runner, scale, seeds, students):
    def lines(path):
        if not os.path.exists(path):
            return "–"
        with open(path) as file:
            return f"{sum(1 for _ in file):,}"

    missing = sum(not runner.is_done(name) for name in runner.stages)
    only = "" if len(students) == len(STUDENTS) else "".join(f" --only {name}" for name in students)
    yield f"- `tools/reproduce DATA --scale {scale:g} --seeds {seeds}{only}`"
    yield f"- {os.cpu_count()} cores"
    yield (f"- {lines('corpus.jsonl')} passages; {lines('test.tsv')} held-out questions of "
           f"{CANDIDATES} candidates each")
    yield (f"- teachers: {TEACHER_EPOCHS} passes over {lines('teaching-triples.tsv')} triples of "
           f"{lines('teaching.tsv')} questions; students: one over {lines('triples.tsv')} of "
           f"{lines('train.tsv')} others; steps of {BATCH} triples")
    yield ("- all stages are finished" if missing == 0 else
           f"- {missing} of {len(runner.stages)} stages are missing; a dash stands for what nobody "
           "has measured")


def report(document, runner, scale, seeds, students):
    """Puts the tables between the markers of the document, and leaves the rest of it alone."""
    check_document(document)
    results = Results(runner, seeds)
    blocks = {
        "setting": setting_lines(runner, scale, seeds, students),
        "teachers": teachers_table(results),
        "students": students_table(results, students),
        "losses": ablation_table(results, students),
        "times": times_table(runner),
    }
    if os.path.exists(document):
        with open(document) as file:
            text = file.read()
    else:
        text = "# Distillation\n" + "".join(
            f"\n<!-- {name} -->\n<!-- end of {name} -->\n" for name in blocks)
    for name, lines in blocks.items():
        pattern = re.compile(f"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        body = "".join(line + "\n" for line in lines)
        text = pattern.sub(lambda found: f"{found[1]}\n{body}\n{found[2]}", text)
    write_lines(document, [text.rstrip("\n")])
    print(document)


def check_model(folder):
    """Ends where a model is not of the shape that is cut and measured here."""
    try:
        with open(folder + "/config.json") as file:
            configuration = json.load(file)
        header, _ = open_tensors(folder + "/model.safetensors")
        with open(folder + "/vocab.txt"):
            pass
    except (OSError, ValueError, struct.error) as error:
        fail(f"{folder} cannot be used as a start ({error}); name the folder of a BERT encoder", 66)
    last = configuration.get("num_hidden_layers", 0) - 1
    wanted = f"layer.{last}.output.LayerNorm.weight"
    if not any(name.endswith(wanted) for name in header):
        fail(f"{folder} has no tensor {wanted}; name the folder of a BERT encoder", 66)
    if any(tensor["dtype"] != "F32" for name, tensor in header.items() if "position_ids" not in name):
        fail(f"{folder} holds weights that are not f32; name the model they were made from", 66)


def check_document(document):
    """Ends where the tables have no place, before any work is done."""
    if not os.path.isdir(os.path.dirname(document)):
        fail(f"there is no folder for {document}; make it or name another --document", 66)
    if os.path.exists(document):
        with open(document) as file:
            text = file.read()
        for name in BLOCKS:
            if text.count(f"<!-- {name} -->") != 1 or text.count(f"<!-- end of {name} -->") != 1:
                fail(f"{document} has no place for the table of {name}: write <!-- {name} --> and "
                     f"<!-- end of {name} --> there", 65)


def check_output(folder):
    """Ends where a folder holds files that no run made: stages replace theirs, whose names are common."""
    if not os.path.isdir(folder) or os.path.exists(folder + "/settings.json"):
        return
    if set(os.listdir(folder)) - {"lock"}:
        fail(f"{folder} holds other files; name a folder of its own with --output", 66)


class Options(argparse.ArgumentParser):
    def error(self, message):
        fail(f"{message}; see tools/reproduce --help", 64)


def main():
    parser = Options(prog="tools/reproduce", add_help=False)
    parser.add_argument("data", nargs="?")
    for option in ("--program", "--model", "--output", "--document"):
        parser.add_argument(option, required=True)
    parser.add_argument("--collection", default="squad-train")
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", action="append", choices=list(STUDENTS))
    parser.add_argument("--plan", action="store_true")
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    if not (options.scale > 0 and math.isfinite(options.scale) and options.seeds > 0):
        fail("--scale and --seeds must be above 0", 64)
    document, program = os.path.abspath(options.document), os.path.abspath(options.program)
    if options.report:
        try:
            with open(options.output + "/settings.json") as file:
                settings = json.load(file)
        except FileNotFoundError:
            fail(f"nothing has been run in {options.output}; name another --output", 66)
    else:
        data = os.path.abspath(os.path.join(options.data, options.collection))
        for name in ["corpus.jsonl", "queries.jsonl", "qrels/train.tsv", "qrels/valid.tsv"]:
            if not os.path.exists(f"{data}/{name}"):
                fail(f"there is no {data}/{name}; name another --collection", 66)
        if not options.plan:
            check_model(options.model)
            check_document(document)
            check_output(options.output)
        settings = {"data": data, "model": os.path.abspath(options.model), "scale": options.scale,
                    "seeds": options.seeds,
                    "students": [name for name in STUDENTS if name in (options.only or STUDENTS)]}
    stages = plan(**settings)
    if options.plan:
        for number, stage in enumerate(stages, 1):
            for step in stage.steps:
                shown = step if isinstance(step, list) else [f"({step[0]})", *map(str, step[1:])]
                print(f"[{number}/{len(stages)}] {stage.name}:", *shown)
        return
    os.makedirs(options.output, exist_ok=True)
    os.chdir(options.output)
    runner = Runner(program, stages)
    if not options.report:
        with open("lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                fail(f"another run works in {os.getcwd()}; name another --output", 75)
            write_lines("settings.json", [json.dumps(settings)])
            runner.lock = [lock.fileno()]
            # The command that runs is ended, too, and its time is recorded.
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
            runner.run_all()
    report(document, runner, settings["scale"], settings["seeds"], settings["students"])


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("reproduce: interrupted; run again to go on", file=sys.stderr)
        sys.exit(130)
