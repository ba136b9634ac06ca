#!/usr/bin/env python3
"""Judge of the drum model, for development: needs numpy, torch, soundfile and soxr; nothing of hiss needs this file.

    judge.py DATA GENERATED [PICTURE.png]

DATA is the folder that recipes/drums/fetch made, GENERATED holds NN-CLASS*.wav or CLASS*.wav files of `hiss generate`. A small
network on log-mel features (32 bands x 24 frames, level removed) learns the classes from the training recordings; it is then
asked about the held-out recordings and the generated sounds. Rise: 10 to 90 % of the peak of the 1 ms envelope, in ms.
Tail: level of the last 50 ms below the peak, dB."""
import csv, glob, os, re, sys
import numpy as np, soundfile, soxr, torch

RATE, N = 22050, 22528

def load(path):
    x, rate = soundfile.read(path, dtype="float32", always_2d=True)
    x = x.mean(1)
    if rate != RATE: x = soxr.resample(x, rate, RATE, "HQ")
    x = x[:N]
    return np.pad(x, (0, N - len(x)))

def mel_bank(bands=32, n_fft=1024):
    mel = lambda f: 2595 * np.log10(1 + f / 700)
    edges = 700 * (10 ** (np.linspace(mel(40), mel(11000), bands + 2) / 2595) - 1)
    f = np.fft.rfftfreq(n_fft, 1 / RATE)
    return np.maximum(0, np.minimum((f - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None],
                                    (edges[2:, None] - f) / (edges[2:] - edges[1:-1])[:, None]))
BANK = mel_bank()

def features(x):
    x = x / (np.abs(x).max() + 1e-9)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(x, (512, 512)), 1024)[::256][:88] * np.hanning(1024)
    m = np.log(np.abs(np.fft.rfft(frames)) @ BANK.T + 1e-2)
    # Finer in time at the onset: frames 0..15, then means over growing spans.
    spans = [(i, i + 1) for i in range(12)] + [(12, 14), (14, 16), (16, 19), (19, 22), (22, 26), (26, 31), (31, 37), (37, 44), (44, 52), (52, 62), (62, 74), (74, 88)]
    return np.stack([m[a:b].mean(0) for a, b in spans]).ravel().astype(np.float32)

def rise_ms(x):
    e = np.abs(x[: len(x) // 22 * 22]).reshape(-1, 22).max(1)
    p = e.argmax()
    before = np.where(e[: p + 1] < .1 * e[p])[0]
    first = before[-1] if len(before) else 0
    return (np.where(e[first:] >= .9 * e[p])[0][0]) * 22 / RATE * 1000

def tail_db(x): return 20 * np.log10(np.sqrt((x[-RATE // 20:] ** 2).mean()) / np.abs(x).max() + 1e-6)

def train(X, y, classes):
    torch.manual_seed(0)
    mean, std = X.mean(0), X.std(0) + .1
    net = torch.nn.Sequential(torch.nn.Dropout(.3), torch.nn.Linear(X.shape[1], 128), torch.nn.ReLU(), torch.nn.Dropout(.4), torch.nn.Linear(128, classes))
    weight = 1 / torch.bincount(y, minlength=classes).float()
    opt = torch.optim.AdamW(net.parameters(), 1e-3, weight_decay=.05)
    for step in range(1200):
        i = torch.randint(len(X), (128,))
        loss = torch.nn.functional.cross_entropy(net((X[i] - mean) / std + .3 * torch.randn(128, X.shape[1])), y[i], weight=weight)
        opt.zero_grad(); loss.backward(); opt.step()
    net.eval()
    return lambda Z: net((Z - mean) / std).argmax(1)

def report(name, Z, y, waves, guess, classes):
    p = guess(Z)
    print(f"{name}: accuracy {(p == y).float().mean():.3f} of {len(y)}; mean over classes "
          f"{np.mean([(p[y == k] == k).float().mean().item() for k in sorted(set(y.tolist()))]):.3f}")
    for k, c in enumerate(classes):
        m = (y == k).numpy()
        if m.any():
            votes = np.bincount(p[m], minlength=len(classes)); top = votes.argmax()
            print(f"  {c:11s} {(p[m] == k).float().mean():.2f}  rise {np.median([rise_ms(w) for w in waves[m]]):5.1f} ms  tail "
                  f"{np.median([tail_db(w) for w in waves[m]]):6.1f} dB" + ("" if top == k else f"  (mostly {classes[top]})"))

def picture(path, real, ry, made, my, classes):
    import matplotlib; matplotlib.use("Agg"); import matplotlib.pyplot as plt
    fig, axes = plt.subplots(4, len(classes), figsize=(2.1 * len(classes), 7.6), sharex=True, sharey="row")
    for k, c in enumerate(classes):
        for row, (waves, y, what) in enumerate([(real, ry, "recorded"), (made, my, "generated")]):
            x = waves[np.where(y == k)[0][0]]
            a, b = axes[2 * row][k], axes[2 * row + 1][k]
            a.plot(np.arange(N) / RATE, x / np.abs(x).max(), lw=.4); a.set_ylim(-1.05, 1.05); a.set_title(f"{c}\n{what}", fontsize=9)
            b.specgram(x / np.abs(x).max() + 1e-7, NFFT=512, Fs=RATE, noverlap=384, vmin=-120, vmax=-30)
            if k == 0: b.set_ylabel("Hz", fontsize=8)
        axes[3][k].set_xlabel("s", fontsize=8)
    plt.tight_layout(); plt.savefig(path, dpi=60)

def main():
    torch.set_num_threads(1)
    data, made = sys.argv[1:3]
    rows = list(csv.DictReader(open(os.path.join(data, "manifest.tsv")), delimiter="\t", quoting=csv.QUOTE_NONE))
    classes = sorted({r["class"] for r in rows})
    waves = np.stack([load(os.path.join(data, r["path"])) for r in rows])
    y = torch.tensor([classes.index(r["class"]) for r in rows]); held = np.array([r["split"] != "train" for r in rows])
    X = torch.from_numpy(np.stack([features(w) for w in waves]))
    guess = train(X[~held], y[~held], len(classes))
    report("training recordings", X[~held], y[~held], waves[~held], guess, classes)
    report("held-out recordings", X[held], y[held], waves[held], guess, classes)
    files = sorted(glob.glob(os.path.join(made, "**", "*.wav"), recursive=True))
    label = lambda f: next((k for k, c in sorted(enumerate(classes), key=lambda p: -len(p[1])) if c in os.path.basename(f)), None)
    files = [f for f in files if label(f) is not None]
    if not files: return
    W = np.stack([load(f) for f in files]); g = torch.tensor([label(f) for f in files])
    report("generated", torch.from_numpy(np.stack([features(w) for w in W])), g, W, guess, classes)
    if len(sys.argv) > 3: picture(sys.argv[3], waves[held], y[held], W, g, classes)

main()
