#!/usr/bin/env python3
"""Nearest-neighbour search of libraries from PyPI, for tools/bench ann.

  ann-peers.py convert DATA WORK SET     SET.{x,q,gt}.npy of DATA as .fbin and .ibin in WORK
  ann-peers.py run DATA SET LIBRARY      one line of JSON, as retort-bench ann prints it
  ann-peers.py table FILE                the table of lines of JSON {"set": …, …}

Libraries: hnswlib, faiss, faiss-sq8, usearch, svs, svs-i8. All build with two threads, M 16 and
efConstruction 200 or what corresponds, and are searched on one thread.
"""
import json
import math
import os
import sys
import tempfile
import time

EF_VALUES = [10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 480, 700, 1000]


def convert(data, work, name):
    import numpy as np

    for part, suffix, kind in (("x", "fbin", "f4"), ("q", "fbin", "f4"), ("gt", "ibin", "u4")):
        values = np.load(f"{data}/{name}.{part}.npy", mmap_mode="r")
        path = f"{work}/{name}.{part}.{suffix}"
        with open(path + ".new", "wb") as file:
            np.array(values.shape, "u4").tofile(file)
            for start in range(0, len(values), 50_000):
                values[start : start + 50_000].astype(kind).tofile(file)
        os.rename(path + ".new", path)


def resident(field):
    for line in open("/proc/self/status"):
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    return 0


def size(path):
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(r, f)) for r, _, fs in os.walk(path) for f in fs)


def library(name, x, metric):
    """Returns (build, search, save): build() makes the index, search(q, ef, threads) gives ids."""
    count, dimension = x.shape
    if name == "hnswlib":
        import hnswlib

        index = hnswlib.Index("l2" if metric == "l2" else "ip", dimension)

        def build():
            index.init_index(count, M=16, ef_construction=200)
            index.add_items(x, num_threads=2)

        def search(q, ef, threads):
            index.set_ef(ef)
            return index.knn_query(q, 10, num_threads=threads)[0]

        return build, search, index.save_index
    if name.startswith("faiss"):
        import faiss

        kind = faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT
        if name == "faiss-sq8":
            index = faiss.IndexHNSWSQ(dimension, faiss.ScalarQuantizer.QT_8bit, 16, kind)
        else:
            index = faiss.IndexHNSWFlat(dimension, 16, kind)
        index.hnsw.efConstruction = 200

        def build():
            faiss.omp_set_num_threads(2)
            index.train(x)
            index.add(x)

        def search(q, ef, threads):
            faiss.omp_set_num_threads(threads)
            index.hnsw.efSearch = ef
            return index.search(q, 10)[1]

        return build, search, lambda path: faiss.write_index(index, path)
    if name == "usearch":
        import numpy as np
        from usearch.index import Index

        index = Index(
            ndim=dimension, metric="l2sq" if metric == "l2" else "ip", dtype="f32",
            connectivity=16, expansion_add=200)

        def search(q, ef, threads):
            index.expansion_search = ef
            return index.search(q, 10, threads=threads).keys

        return lambda: index.add(np.arange(count, dtype="u8"), x, threads=2), search, index.save
    import numpy as np
    import svs

    scale = float(np.quantile(np.abs(x[:20000]), 0.9999)) / 127

    def coded(values):
        if name == "svs":
            return values
        return np.clip(np.rint(values / scale), -127, 127).astype("i1")

    state = []

    def build():
        parameters = svs.VamanaBuildParameters(
            graph_max_degree=32, window_size=200, alpha=1.2 if metric == "l2" else 0.95)
        distance = svs.DistanceType.L2 if metric == "l2" else svs.DistanceType.MIP
        state.append(svs.Vamana.build(parameters, coded(x), distance, num_threads=2))

    def search(q, ef, threads):
        index = state[0]
        if index.num_threads != threads:
            index.num_threads = threads
        index.search_window_size = ef
        return index.search(coded(q), 10)[0]

    def save(path):
        for part in "cgd":
            os.makedirs(f"{path}/{part}", exist_ok=True)
        state[0].save(path + "/c", path + "/g", path + "/d")

    return build, search, save


def run(data, name, peer):
    import numpy as np

    x = np.ascontiguousarray(np.load(f"{data}/{name}.x.npy"), "f4")
    q = np.ascontiguousarray(np.load(f"{data}/{name}.q.npy"), "f4")
    truth = np.load(f"{data}/{name}.gt.npy")[:, :10]
    metric = open(f"{data}/{name}.metric").read().strip()
    build, search, save = library(peer, x, metric)
    before = resident("RssAnon:")
    start = time.perf_counter()
    build()
    seconds = time.perf_counter() - start
    memory = resident("RssAnon:") - before

    def speed(ef, threads):
        best, spent = 0, 0
        while spent < 0.5:
            start = time.perf_counter()
            found = search(q, ef, threads)
            took = time.perf_counter() - start
            best, spent = max(best, len(q) / took), spent + took
        return best, found

    points = []
    for ef in EF_VALUES:
        rate, found = speed(ef, 1)
        recall = float(
            np.mean([len(set(map(int, a)) & set(map(int, b))) for a, b in zip(found, truth)]) / 10)
        points.append({"efSearch": ef, "recall": recall, "queriesPerSecond": rate})
        if recall >= 0.9995 or len(points) > 3 and recall - points[-3]["recall"] < 0.0003:
            break
    best = next((p["efSearch"] for p in points if p["recall"] >= 0.95), 100)
    with tempfile.TemporaryDirectory() as folder:
        save(folder + "/index")
        disk = size(folder + "/index") / 1e6
    print(json.dumps({
        "lib": peer, "buildSeconds": seconds, "anonymousMB": memory, "residentMB": memory,
        "diskMB": disk,
        "twoThreads": speed(best, 2)[0] / speed(best, 1)[0], "points": points}))
    sys.stdout.flush()
    os._exit(0)  # some libraries crash in their destructors


def rate_at(points, recall):
    """Queries a second at a recall, between the measured points; None where it is not reached."""
    ordered = sorted(points, key=lambda p: p["recall"])
    if ordered[-1]["recall"] < recall:
        return None
    if ordered[0]["recall"] >= recall:
        return ordered[0]["queriesPerSecond"]
    for low, high in zip(ordered, ordered[1:]):
        if low["recall"] < recall <= high["recall"]:
            part = (recall - low["recall"]) / (high["recall"] - low["recall"])
            rates = low["queriesPerSecond"], high["queriesPerSecond"]
            return math.exp(math.log(rates[0]) * (1 - part) + math.log(rates[1]) * part)


def table(path):
    merged = {}  # Retort builds and searches in two processes, which print a line each.
    for line in map(json.loads, open(path)):
        merged.setdefault((line["set"], line["lib"]), {}).update(line)
    rows = list(merged.values())
    print("| set | library | build, s | memory, MB | with mapped files | disk, MB | q/s at 0.90 | 0.95 | 0.99 | highest "
          "recall | × hnswlib at 0.95 | at 0.99 | 2 threads | codes, vectors, KB a query at 0.95 |")
    print("|" + "---|" * 14)
    for row in rows:
        points = row["points"]
        peer = next(
            (r for r in rows if r["set"] == row["set"] and r["lib"] == "hnswlib"), None)
        rates = [rate_at(points, recall) for recall in (0.9, 0.95, 0.99)]
        cells = [f"{rate:.0f}" if rate else "–" for rate in rates]
        for recall, rate in ((0.95, rates[1]), (0.99, rates[2])):
            other = peer and rate_at(peer["points"], recall)
            cells.append(f"{rate / other:.2f}" if rate and other else "–")
        at = next((p for p in points if p["recall"] >= 0.95 and "codes" in p), None)
        cost = f"{at['codes']:.0f}, {at['vectors']:.0f}, {at['bytes'] / 1e3:.0f}" if at else "–"
        print(f"| {row['set']} | {row['lib']} | {row['buildSeconds']:.1f} | "
              f"{row['anonymousMB']:.0f} | {row['residentMB']:.0f} | {row['diskMB']:.1f} | {' | '.join(cells[:3])} | "
              f"{max(p['recall'] for p in points):.4f} | {' | '.join(cells[3:])} | "
              f"{row['twoThreads']:.2f} | {cost} |")


if __name__ == "__main__":
    {"convert": convert, "run": run, "table": table}[sys.argv[1]](*sys.argv[2:])
