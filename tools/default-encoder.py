"""The data of tools/default-encoder: held-out questions and training triples, by fixed seeds.

default-encoder.py split DATA OUTPUT     writes (squad|medquad)-(train|held).(tsv|qrels)
default-encoder.py triples DATA OUTPUT   reads squad.trec, writes triples.tsv
"""

import hashlib
import json
import random
import sys
from collections import defaultdict


def clean(text):
    return " ".join(text.split())


def questions(data, name):
    with open(f"{data}/{name}/queries.jsonl") as file:
        rows = [json.loads(line) for line in file]
    return {row["_id"]: clean(row["text"]) for row in rows}


def positives(path):
    with open(path) as file:
        rows = [line.rstrip("\n").split("\t") for line in file][1:]
    return {row[0]: row[1] for row in rows}


def passages(data, name):
    with open(f"{data}/{name}/corpus.jsonl") as file:
        rows = [json.loads(line) for line in file]
    return {row["_id"]: clean(row.get("title", "") + " " + row["text"]) for row in rows}


def is_held(text):
    """One question in ten; the same question is never on both sides."""
    return int(hashlib.sha256(text.lower().encode()).hexdigest(), 16) % 10 == 0


def split(data, output):
    rng = random.Random(7)

    def write(name, ids, texts, relevant):
        with open(f"{output}/{name}.tsv", "w") as file:
            file.writelines(f"{id}\t{texts[id]}\n" for id in ids)
        with open(f"{output}/{name}.qrels", "w") as file:
            file.writelines(f"{id} 0 {relevant[id]} 1\n" for id in ids)

    texts = questions(data, "squad-train")
    for part, source, count in [("train", "train", 14000), ("held", "valid", 2000)]:
        relevant = positives(f"{data}/squad-train/qrels/{source}.tsv")
        ids = sorted(relevant)
        rng.shuffle(ids)
        write(f"squad-{part}", ids[:count], texts, relevant)
    texts = questions(data, "medquad")
    relevant = positives(f"{data}/medquad/qrels/all.tsv")
    for part in ["train", "held"]:
        ids = sorted(id for id in relevant if is_held(texts[id]) == (part == "held"))
        rng.shuffle(ids)
        write(f"medquad-{part}", ids, texts, relevant)


def read_part(output, name):
    with open(f"{output}/{name}.tsv") as file:
        texts = dict(line.rstrip("\n").split("\t") for line in file)
    with open(f"{output}/{name}.qrels") as file:
        relevant = {row[0]: row[2] for row in map(str.split, file)}
    return texts, relevant


def squad_triples(data, output, rng, count):
    passage = passages(data, "squad-train")
    texts, relevant = read_part(output, "squad-train")
    ranked = defaultdict(list)
    with open(f"{output}/squad.trec") as file:
        for query, _, id, _, score, _ in map(str.split, file):
            ranked[query].append((id, float(score)))
    triples = []
    for query, text in texts.items():
        positive = relevant[query]
        own = next((score for id, score in ranked[query] if id == positive), None)
        # Not found at all: most of these questions mean nothing without their article.
        if own is None:
            continue
        # What scores nearly as high may answer it, too.
        near = [id for id, score in ranked[query][:30] if id != positive and score < 0.95 * own]
        near = near or [id for id, score in ranked[query] if id != positive and score < own][:20]
        if near:
            triples.append((text, passage[positive], passage[rng.choice(near)]))
        if len(triples) == count:
            break
    return triples


def medquad_triples(data, output, rng, count):
    passage = passages(data, "medquad")
    texts, relevant = read_part(output, "medquad-train")
    documents = defaultdict(list)
    for id in passage:
        documents[id.rsplit("-", 1)[0]].append(id)
    everything = list(passage)
    triples = []
    for query, text in texts.items():
        positive = passage[relevant[query]]
        same = documents[relevant[query].rsplit("-", 1)[0]]
        near = [id for id in same if passage[id] != positive]
        negative = passage[rng.choice(near or everything)]
        if negative != positive:
            triples.append((text, positive, negative))
        if len(triples) == count:
            break
    return triples


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in ("split", "triples"):
        sys.exit(__doc__)
    data, output = sys.argv[2:]
    if sys.argv[1] == "split":
        return split(data, output)
    rng = random.Random(11)
    triples = squad_triples(data, output, rng, 5600)
    triples += medquad_triples(data, output, rng, 4000)
    rng.shuffle(triples)
    with open(f"{output}/triples.tsv", "w") as file:
        file.writelines("\t".join(triple) + "\n" for triple in triples)


main()
