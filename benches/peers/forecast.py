"""The peers' side of benches/forecast.sh: methods of statsforecast on files of series.

    forecast.py competition FILE.parquet PERIOD EVERY      AutoETS, AutoCES, DynamicOptimizedTheta, AutoTheta, median of three
    forecast.py intermittent FILE.parquet HORIZON EVERY    Croston's family, TSB, ADIDA, IMAPA: RMSSE and scaled pinball loss
    forecast.py hourly FILE.parquet                        MSTL over a day and a week
    forecast.py generate-hourly FILE.parquet SEED          writes hourly series (day and week) of a generator
    forecast.py lines FILE.parquet OUT [HORIZON]           rewrites a file as the lines that the example `judge` reads

Each prints RESULT {json}, one entry a method: sMAPE, MASE, OWA (beside Naive2) and CPU milliseconds a series, of one thread.
A method that fails on a series is counted under `failed` and replaced by the seasonal naive one.
"""

import json
import sys
import time
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

warnings.filterwarnings("ignore")
SEASONS = {"monthly": 12, "quarterly": 4, "yearly": 1, "other": 1, "hourly": 168}


def naive2(train, m, h):
    """The last value without season, the season put back where a test at 10 % finds one."""
    n = len(train)
    indices = np.ones(m)
    if m > 1 and n >= 3 * m:
        centred = train - train.mean()
        lags = [float((centred[lag:] * centred[:-lag]).sum() / (centred**2).sum()) for lag in range(1, m + 1)]
        if abs(lags[-1]) > 1.645 * np.sqrt((1 + 2 * sum(lag**2 for lag in lags[:-1])) / n) and (train > 0).all():
            window = np.ones(m) / m if m % 2 else np.r_[0.5, np.ones(m - 1), 0.5] / m
            half = len(window) // 2
            ratios = train[half : n - half] / np.convolve(train, window, "valid")
            indices = np.array([ratios[(np.arange(half, n - half) % m) == phase].mean() for phase in range(m)])
            indices /= indices.mean()
    steps = np.arange(n, n + h)
    return train[-1] / indices[(n - 1) % m] * indices[steps % m]


def rows(file, period=None, every=1):
    table = pq.read_table(file).to_pylist()
    if period:
        table = [row for row in table if row["period"] == period]
    return table[::every]


def errors(row, m, forecast):
    train, test = np.array(row["train"]), np.array(row["test"])
    smape = np.mean(200 * np.abs(test - forecast) / (np.abs(test) + np.abs(forecast)))
    scale = np.mean(np.abs(train[m:] - train[:-m]))
    return smape, np.mean(np.abs(test - forecast)) / scale


def run(methods, table, m_of):
    """Forecasts of each method on each series; the first is the one that others are relative to."""
    found = {name: [] for name in methods}
    cpu = dict.fromkeys(methods, 0.0)
    failed = dict.fromkeys(methods, 0)
    for name, method in methods.items():
        method(np.array(table[0]["train"]), m_of(table[0]), len(table[0]["test"]))
        begin = time.process_time()
        for row in table:
            train, m, h = np.array(row["train"]), m_of(row), len(row["test"])
            try:
                forecast = method(train, m, h)
            except Exception:
                failed[name] += 1
                forecast = train[-m:][np.arange(h) % m]
            found[name].append(np.asarray(forecast))
        cpu[name] = time.process_time() - begin
    return found, cpu, failed


def report(found, cpu, failed, table, m_of):
    result = {}
    base = None
    for name, forecasts in found.items():
        figures = np.array([errors(row, m_of(row), forecast) for row, forecast in zip(table, forecasts)])
        smape, mase = np.nanmean(figures, axis=0)
        base = base or (smape, mase)
        result[name] = {
            "smape": round(float(smape), 3),
            "mase": round(float(mase), 4),
            "owa": round(float((smape / base[0] + mase / base[1]) / 2), 4),
            "cpu_ms": round(1000 * cpu.get(name, 0.0) / len(table), 3),
            "failed": failed.get(name, 0),
        }
    return {"series": len(table), "methods": result}


def competition(file, period, every):
    from statsforecast.models import AutoCES, AutoETS, AutoTheta, DynamicOptimizedTheta

    table = rows(file, period, int(every))
    m = SEASONS[period]

    def of(model):
        return lambda train, m, h: model(season_length=m).forecast(y=train, h=h)["mean"]

    methods = {"Naive2": naive2, "AutoETS": of(AutoETS), "AutoCES": of(AutoCES)}
    methods |= {"DynamicOptimizedTheta": of(DynamicOptimizedTheta), "AutoTheta": of(AutoTheta)}
    found, cpu, failed = run(methods, table, lambda _: m)
    three = ["AutoETS", "AutoCES", "DynamicOptimizedTheta"]
    found["median"] = [np.median(rows, axis=0) for rows in zip(*(found[name] for name in three))]
    cpu["median"] = sum(cpu[name] for name in three)
    return report(found, cpu, failed, table, lambda _: m)


def hourly(file):
    from statsforecast.models import MSTL

    table = rows(file)
    methods = {"Naive2": naive2, "MSTL": lambda train, m, h: MSTL(season_length=[24, 168]).forecast(y=train, h=h)["mean"]}
    found, cpu, failed = run(methods, table, lambda _: 168)
    return report(found, cpu, failed, table, lambda _: 168)


def intermittent(file, horizon, every):
    from statsforecast.models import ADIDA, IMAPA, TSB, CrostonClassic, CrostonOptimized, CrostonSBA

    horizon = int(horizon)
    series = [np.array(row["values"], dtype=float) for row in pq.read_table(file).to_pylist()]
    series = [values[~np.isnan(values)] for values in series]
    series = [values for values in series if len(values) >= 2 * horizon][:: int(every)]
    models = {
        "CrostonClassic": CrostonClassic(), "CrostonOptimized": CrostonOptimized(), "CrostonSBA": CrostonSBA(),
        "TSB": TSB(0.1, 0.1), "ADIDA": ADIDA(), "IMAPA": IMAPA(),
    }
    result = {}
    for name, model in models.items():
        begin, rmsse, losses = time.process_time(), [], []
        for values in series:
            train, test = values[:-horizon], values[-horizon:]
            forecast = np.asarray(model.forecast(y=train, h=horizon)["mean"])
            scale = np.mean(np.diff(train) ** 2)
            if scale > 0:
                rmsse.append(np.sqrt(np.mean((test - forecast) ** 2) / scale))
                # A peer gives no quantiles: the point with the spread of a normal distribution around its one-step errors.
                spread = np.std(train - forecast[0])
                each = []
                for level, z in ((0.1, -1.2816), (0.5, 0.0), (0.9, 1.2816)):
                    gap = test - np.maximum(forecast + z * spread, 0)
                    each.append(np.mean(np.maximum(level * gap, (level - 1) * gap)))
                losses.append(np.mean(each) / np.mean(np.abs(np.diff(train))))
        cpu = time.process_time() - begin
        result[name] = {"rmsse": round(float(np.mean(rmsse)), 4), "scaled_pinball": round(float(np.mean(losses)), 4)}
        result[name]["cpu_ms"] = round(1000 * cpu / len(series), 3)
    return {"series": len(series), "methods": result}


def generate_hourly(file, seed):
    """Eight weeks and two days: a day and a week that act on a wandering level, some multiplied and some added, with
    weather-like noise that lasts for hours, and now and then a day that is unlike others. The last 48 hours are the test."""
    draw = np.random.default_rng(int(seed))
    hours, horizon, out = 24 * 7 * 8 + 48, 48, []
    for at in range(60):
        t = np.arange(hours)
        level = 100 * np.exp(draw.normal(0, 1)) * np.exp(np.cumsum(draw.normal(0, 0.004, hours)))
        day = sum(draw.normal(0, 0.35 / k) * np.sin(2 * np.pi * k * t / 24 + draw.uniform(0, 6.3)) for k in (1, 2, 3, 4))
        weekday = np.repeat(draw.normal(0, 0.12, 7), 24)[t % 168]
        weekend = np.where(t % 168 >= 120, draw.uniform(0, 1), 1.0)
        noise = np.zeros(hours)
        rho, size = draw.uniform(0.3, 0.9), draw.uniform(0.02, 0.12)
        for hour in range(1, hours):
            noise[hour] = rho * noise[hour - 1] + draw.normal(0, size)
        odd = np.repeat(np.where(draw.uniform(size=hours // 24 + 1) < 0.02, draw.normal(0, 0.3), 0.0), 24)[:hours]
        shape = day * weekend + weekday + noise + odd
        values = level * np.exp(shape) if at % 2 else level[0] * (4 + shape + np.log(level / level[0]))
        train, test = values[:-horizon], values[-horizon:]
        out.append({"series": f"h{seed}_{at}", "period": "hourly", "n": len(train), "h": horizon, "train": list(train), "test": list(test)})
    pq.write_table(pa.Table.from_pylist(out), file)
    return {"series": len(out)}


def lines(file, out, horizon=0):
    """One series a line: name, period, seasons, history and test, fields apart by tabs and values by blanks."""
    horizon, written = int(horizon), 0
    with open(out, "w") as text:
        for row in pq.read_table(file).to_pylist():
            if horizon:
                values = [value for value in row["values"] if value is not None and value == value]
                if len(values) < 2 * horizon:
                    continue
                row |= {"period": "monthly", "train": values[:-horizon], "test": values[-horizon:]}
            season = {"hourly": "24,168"}.get(row["period"], SEASONS[row["period"]])
            train, test = (" ".join(map(repr, row[name])) for name in ("train", "test"))
            text.write(f"{row['series']}\t{row['period']}\t{season}\t{train}\t{test}\n")
            written += 1
    return {"series": written}


if __name__ == "__main__":
    commands = {"lines": lines, "competition": competition, "hourly": hourly, "intermittent": intermittent, "generate-hourly": generate_hourly}
    print("RESULT " + json.dumps(commands[sys.argv[1]](*sys.argv[2:])))
