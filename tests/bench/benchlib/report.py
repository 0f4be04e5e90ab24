"""From figures to a table in Markdown, JSON and an SVG plot."""
import json
import os
import platform
import subprocess
import time

from .load import median, spread


def version(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return (done.stdout or done.stderr).strip().splitlines()[0]
    except (OSError, IndexError):
        return "not found"


def machine():
    with open("/proc/cpuinfo") as f:
        model = [line.split(":", 1)[1].strip() for line in f if line.startswith("model name")]
    return {"cores": os.cpu_count(), "cpu": model[0] if model else "", "kernel": platform.release(),
            "versions": [version(["pgbench", "--version"]), version(["haproxy", "-v"]), version(["pgbouncer", "--version"]),
                         version(["pgpool", "--version"])]}


def number(value, digits=None):
    if value is None:
        return "-"
    if digits is None:
        digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"


def heading(targets):
    return ("| | " + " | ".join(t.name for t in targets) + " |\n|---|" + "---:|" * len(targets) + "\n")


def table(cells, targets, results, text_of, title, note=""):
    rows = []
    for cell in cells:
        row = results.get(cell.name, {})
        texts = []
        for target in targets:
            figures = row.get(target.name)
            if figures is None:
                texts.append("n/a")
            elif "failed" in figures and "per_s" not in figures:
                texts.append("failed")
            else:
                texts.append(text_of(cell, target, figures, row))
        if any(t not in ("n/a", "-", "failed") for t in texts):
            rows.append(f"| {cell.name} | " + " | ".join(texts) + " |\n")
    return f"### {title}\n\n{note}\n\n{heading(targets)}{''.join(rows)}\n" if rows else ""


def cpu_text(cell, target, figures, row):
    value, width = median(figures.get("cpu_us", [])), spread(figures.get("cpu_us", []))
    if value is None:
        return "-"
    base = median(row.get("pgbouncer", {}).get("cpu_us", [])) or median(row.get("haproxy", {}).get("cpu_us", []))
    ratio = f" ({value / base:.2f})" if base else ""
    return f"{number(value)}{ratio} ±{width * 50:.0f}%"


def throughput_text(cell, target, figures, row):
    value, width = median(figures["per_s"]), spread(figures["per_s"])
    base = median(row.get("direct", {}).get("per_s", []))
    return f"{number(value)}" + (f" ({value / base:.2f})" if base else "") + f" ±{width * 50:.0f}%"


def simple_text(name, digits=None):
    return lambda cell, target, figures, row: number(median(figures.get(name, [])), digits)


def idle_text(cell, target, figures, row):
    # The largest: a proxy keeps the memory of clients that left, so only the first round shows growth.
    memory = max(figures.get("bytes_per_client", []), default=None)
    if memory is None:
        return "-"
    return (f"{number(memory, 0)} B, {number(median(figures['cpu_us']))} / "
            f"{number(median(figures['alone_cpu_us']))} us, {number(median(figures['idle_cpu_us_per_s']), 0)} us/s")


def markdown(given, cells, targets, results, started, load):
    here = machine()
    text = (f"Date: {time.strftime('%Y-%m-%d', time.gmtime(started))}. {here['cores']} cores ({here['cpu']}), kernel "
            f"{here['kernel']}, load average {load[0]:.1f} at the start and {load[1]:.1f} at the end. {'; '.join(here['versions'])}.\n\n"
            f"{given.rounds} interleaved rounds of {given.seconds} s per cell, pgbench scale {given.scale}, Switchyard with "
            f"{given.workers} worker(s). Medians; ± is half of (largest - smallest) / median over the rounds.\n\n")
    text += "".join(f"- **{t.name}**: {t.about}\n" for t in targets) + "\n"
    idle = [c for c in cells if c.kind == "idle"]
    active = [c for c in cells if c.kind != "idle"]
    text += table(active, targets[1:], results, cpu_text, "CPU of the proxy, microseconds per transaction",
                  "User and system time of all its processes; in brackets: times PgBouncer's (where PgBouncer cannot: "
                  "HAProxy's). A transaction of the COPY rows is one COPY of 100,000 rows, of `connect` one connection.")
    text += table(active, targets, results, throughput_text, "Transactions per second", "In brackets: times direct.")
    text += table(active, targets, results, simple_text("ms", 3), "Mean latency, ms")
    text += table([c for c in active if c.clients == 1], targets, results, simple_text("p99_ms", 3),
                  "99th percentile of the latency, 1 client, ms")
    text += table(active, targets[1:], results, simple_text("calls"), "System calls per transaction")
    text += table(idle, targets[1:], results, idle_text, "Idle clients",
                  "Resident memory per idle client; CPU per transaction of 16 active clients with / without them; CPU per "
                  "second while all idle.")
    failures = [f"- {cell.name}, {name}: {figures['failed'][0]}\n" for cell in cells
                for name, figures in results.get(cell.name, {}).items() if "failed" in figures]
    if failures:
        text += "### What failed\n\n" + "".join(failures) + "\n"
    return text


COLOURS = ["#9aa0a6", "#b07aa1", "#4e79a7", "#e15759", "#bab0ac", "#d7d2ca", "#2e8b57", "#7cc49a", "#f28e2b", "#edc948", "#76b7b2"]


def bars(cells, targets, results):
    """Grouped bars: CPU per transaction of the -S and TPC-B cells at the largest number of clients, relative to
    PgBouncer (or HAProxy); lower is better."""
    groups = []
    for cell in cells:
        row = results.get(cell.name, {})
        base = median(row.get("pgbouncer", {}).get("cpu_us", [])) or median(row.get("haproxy", {}).get("cpu_us", []))
        values = [(i, median(row.get(t.name, {}).get("cpu_us", []))) for i, t in enumerate(targets)]
        values = [(i, v / base) for i, v in values if v is not None and base]
        if values and cell.kind != "idle":
            groups.append((cell.name, values))
    return groups


def svg(cells, targets, results):
    groups = bars(cells, targets, results)
    bar, gap, left, top, height, most = 9, 16, 46, 40 + 16 * len(targets), 260, 4.0
    width = left + sum(len(v) * bar + gap for _, v in groups) + 20
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{max(width, 640)}" height="{top + height + 170}" '
           'font-family="sans-serif" font-size="11">',
           '<rect width="100%" height="100%" fill="white"/>',
           f'<text x="{left}" y="18" font-size="14">CPU of the proxy per transaction, PgBouncer = 1 (HAProxy where '
           'PgBouncer cannot); lower is better</text>']
    for i, target in enumerate(targets[1:], 1):
        y = 20 + 16 * i
        out.append(f'<rect x="{left}" y="{y}" width="10" height="10" fill="{COLOURS[i % len(COLOURS)]}"/>'
                   f'<text x="{left + 16}" y="{y + 9}">{target.name}: {target.about}</text>')
    for tick in (0, 0.5, 1, 1.5, 2, 3, 4):
        y = top + height - tick / most * height
        out.append(f'<line x1="{left}" y1="{y}" x2="{width}" y2="{y}" stroke="{"#888" if tick == 1 else "#ddd"}"/>'
                   f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{tick:g}</text>')
    x = left + 6
    for name, values in groups:
        for i, value in values:
            tall = min(value, most) / most * height
            out.append(f'<rect x="{x}" y="{top + height - tall:.1f}" width="{bar - 1}" height="{tall:.1f}" '
                       f'fill="{COLOURS[i % len(COLOURS)]}"><title>{targets[i].name}: {value:.2f}</title></rect>')
            if value > most:
                out.append(f'<text x="{x}" y="{top - 3}" font-size="8">{value:.1f}</text>')
            x += bar
        middle = x - len(values) * bar / 2
        out.append(f'<text transform="translate({middle:.0f},{top + height + 12}) rotate(45)">{name}</text>')
        x += gap
    return "\n".join(out) + "\n</svg>\n"


def write(given, cells, targets, results, started, load):
    text = markdown(given, cells, targets, results, started, load)
    with open(os.path.join(given.out, "proxies.md"), "w") as f:
        f.write(text)
    with open(os.path.join(given.out, "proxies.json"), "w") as f:
        json.dump({"machine": machine(), "rounds": given.rounds, "seconds": given.seconds, "scale": given.scale,
                   "started": int(started), "load_average": load, "targets": {t.name: t.about for t in targets},
                   "results": results}, f, indent=1)
    with open(os.path.join(given.out, "proxies.svg"), "w") as f:
        f.write(svg(cells, targets, results))
    print(text)
    print(f"written: {given.out}/proxies.md, proxies.json, proxies.svg")
