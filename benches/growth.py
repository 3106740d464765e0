"""How the cost of a picture grows with its size, its steps and the threads: measured and drawn, without further packages.

    python benches/growth.py PROGRAM MODEL OUT.svg     measures (about a quarter of an hour on two cores) and draws
    python benches/growth.py OUT.json OUT.svg          draws what was measured before

PROGRAM is the built `atelier`, MODEL a model's folder or file. The numbers stand beside the drawing in OUT.json.
"""

import json
import os
import subprocess
import sys
import time

SIDES = [256, 384, 512, 640, 768, 1024]
STEPS = [1, 5, 10, 20]
WIDTH, HEIGHT, LEFT, TOP, GAP = 260, 200, 60, 40, 90
COLOURS = ["#d98324", "#4a7fb5", "#6a9f58"]


def bench(program, model, side, parts, threads=None):
    """Seconds of each part, as `bench --json` calls them; the fastest of two runs."""
    command = [program, "bench", "--model", model, "--size", f"{side}x{side}", "--runs", "2", "--json"]
    for part in parts:
        command += ["--part", part]
    environment = dict(os.environ, RAYON_NUM_THREADS=str(threads)) if threads else os.environ
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


def measure(program, model):
    """All three dependencies."""
    sides = [dict(bench(program, model, side, ["guided-step", "decode"]), side=side) for side in SIDES]
    steps = []
    for count in STEPS:
        out = f"growth-{os.getpid()}.png"
        command = [program, "generate", "a lighthouse at dusk", "--model", model, "--size", "512x512"]
        begun = time.monotonic()
        subprocess.run(command + ["--steps", str(count), "--out", out], check=True, capture_output=True)
        steps.append({"steps": count, "seconds": time.monotonic() - begun})
        os.remove(out)
    most = os.cpu_count() or 1
    counts = sorted({1, 2, 4, 8, 16, most} & set(range(1, most + 1)))
    threads = [dict(bench(program, model, 512, ["guided-step"], count), threads=count) for count in counts]
    return {"sides": sides, "steps": steps, "threads": threads}


def panel(index, title, x_label, lines, squared=False):
    """One diagram: `lines` is a list of (name, [(x, y)]); the x axis may be spaced by squares."""
    place = (lambda x: x * x) if squared else (lambda x: x)
    xs = sorted({x for _, points in lines for x, _ in points})
    most_x, most_y = place(xs[-1]), max(y for _, points in lines for _, y in points)
    unit = next(u for u in (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if most_y / u <= 5)
    top = unit * -(-most_y // unit)
    left = LEFT + index * (WIDTH + GAP)
    at = lambda x, y: (left + place(x) / most_x * WIDTH, TOP + HEIGHT - y / top * HEIGHT)
    out = [f'<text x="{left}" y="{TOP - 16}" font-weight="600">{title}</text>']
    for i in range(round(top / unit) + 1):
        y = at(0, i * unit)[1]
        out.append(f'<line x1="{left}" y1="{y:.1f}" x2="{left + WIDTH}" y2="{y:.1f}" stroke="#8884"/>')
        out.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{i * unit:g} s</text>')
    free = left - 40
    for x in xs:
        if at(x, 0)[0] < free:
            continue  # its number would be written over the one before
        free = at(x, 0)[0] + 34
        out.append(f'<text x="{at(x, 0)[0]:.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{x}</text>')
    out.append(f'<text x="{left + WIDTH / 2}" y="{TOP + HEIGHT + 38}" text-anchor="middle">{x_label}</text>')
    for colour, (name, points) in zip(COLOURS, lines):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in points))
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in (at(*p) for p in points)]
    for i, (colour, (name, _)) in enumerate(zip(COLOURS, lines)):
        y = TOP + 14 + 18 * i
        out.append(f'<circle cx="{left + 14}" cy="{y - 4}" r="4" fill="{colour}"/><text x="{left + 24}" y="{y}">{name}</text>')
    return "\n".join(out)


def draw(found):
    """The drawing as SVG; its text is grey enough for a light and a dark page."""
    of = lambda rows, x, y: [(row[x], row[y]) for row in rows]
    panels = [
        panel(0, "By size", "width and height in px, spaced by area", [
            ("a guided step", of(found["sides"], "side", "unet_guided_step_s")),
            ("decoding", of(found["sides"], "side", "vae_decode_s")),
        ], squared=True),
        panel(1, "By steps, 512 × 512, all in all", "steps", [("a picture", of(found["steps"], "steps", "seconds"))]),
        panel(2, "By threads, 512 × 512", "threads", [
            ("a guided step", of(found["threads"], "threads", "unet_guided_step_s")),
        ]),
    ]
    width, height = LEFT + 3 * (WIDTH + GAP), TOP + HEIGHT + 56
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="13" fill="#808080">\n' + "\n".join(panels) + "\n</svg>\n"
    )


def main():
    *given, target = sys.argv[1:]
    if len(given) == 2:
        found = measure(*given)
        with open(os.path.splitext(target)[0] + ".json", "w") as file:
            json.dump(found, file, indent=1)
    elif len(given) == 1:
        with open(given[0]) as file:
            found = json.load(file)
    else:
        sys.exit(__doc__)
    with open(target, "w") as file:
        file.write(draw(found))


main()
