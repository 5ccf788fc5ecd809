"""Step 3: the teacher's view. Writes into the working folder

    tokens.npy, offsets.npy    the token ids of every text of texts.jsonl, cut to 128; text i is tokens[offsets[i]:offsets[i + 1]]
    vectors.npy                float16 [texts, 384]: what all-MiniLM-L6-v2 makes of each, of length 1, so that a product is the cosine

Resumes where it was interrupted.
"""

import argparse
import pathlib
import time

import numpy
import torch

import corpus
import encoder

BATCH = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=pathlib.Path, required=True, help="working folder")
    folder = parser.parse_args().dir

    texts = corpus.read(folder / "texts.jsonl")
    rows = [e.ids for e in encoder.tokenizer(encoder.LENGTH).encode_batch(texts)]
    offsets = numpy.cumsum([0, *map(len, rows)])
    numpy.save(folder / "offsets.npy", offsets)
    numpy.save(folder / "tokens.npy", numpy.concatenate([numpy.array(r, dtype=numpy.uint16) for r in rows]))
    print(f"{len(rows):,} texts, {offsets[-1]:,} tokens", flush=True)

    path, done = folder / "vectors.npy", folder / "vectors.done"
    if not path.exists():
        numpy.lib.format.open_memmap(path, "w+", numpy.float16, (len(rows), encoder.SIZE)).flush()
        done.write_text("0")
    vectors = numpy.lib.format.open_memmap(path, "r+")
    order = numpy.argsort([len(r) for r in rows], kind="stable")
    model, began, first = encoder.load().eval(), time.time(), int(done.read_text())
    for i in range(first, len(order), BATCH):
        batch = order[i : i + BATCH]
        ids, mask = encoder.padded([rows[j] for j in batch])
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            states = model.states(ids, mask)
        vectors[batch] = torch.nn.functional.normalize(encoder.mean(states, mask.float()), dim=1).half().numpy()
        if i // BATCH % 100 == 99:
            vectors.flush()
            done.write_text(str(i + BATCH))
            print(f"{i + BATCH:,} texts, {(time.time() - began) / 60:.1f} min", flush=True)
    vectors.flush()
    done.write_text(str(len(order)))


if __name__ == "__main__":
    main()
