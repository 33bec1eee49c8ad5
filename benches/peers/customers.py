"""90-day spend by BG/NBD and gamma-gamma of `lifetimes`: customers.py FILE.parquet CUT DAYS.

The same customers, days and amounts as `dhow evaluate customers`: amounts of a day added up, days on which more was given
back than bought left out of the fit, what was given back taken off the spend that is judged. Prints RESULT {json}.
"""

import json
import sys

import pandas as pd
from lifetimes import BetaGeoFitter, GammaGammaFitter
from lifetimes.utils import summary_data_from_transaction_data

# The only one of 0, 0.0001, 0.001 and 0.01 with which the package converges on these customers.
PENALTY = 0.0001

table = pd.read_parquet(sys.argv[1])
cut, days = pd.Timestamp(sys.argv[2]), int(sys.argv[3])
table = table[table.CustomerID.notna()]
table = table.assign(day=pd.to_datetime(table.InvoiceDate).dt.floor("D"), amount=table.Quantity.astype(float) * table.UnitPrice.astype(float), customer=table.CustomerID.astype(int))
table = table.groupby(["customer", "day"]).amount.sum().reset_index()
before = table[(table.day < cut) & (table.amount > 0)]
summary = summary_data_from_transaction_data(before, "customer", "day", "amount", observation_period_end=cut)
within = table[(table.day >= cut) & (table.day < cut + pd.Timedelta(days=days))]
came = within.groupby("customer").amount.sum().clip(lower=0).reindex(summary.index, fill_value=0.0)
purchases = BetaGeoFitter(penalizer_coef=PENALTY).fit(summary.frequency, summary.recency, summary["T"])
again = summary[(summary.frequency > 0) & (summary.monetary_value > 0)]
amounts = GammaGammaFitter(penalizer_coef=PENALTY).fit(again.frequency, again.monetary_value)
expected = purchases.conditional_expected_number_of_purchases_up_to_time(days, summary.frequency, summary.recency, summary["T"])
worth = amounts.conditional_expected_average_profit(summary.frequency, summary.monetary_value)
forecast = expected * worth
print("RESULT " + json.dumps({
    "customers": len(summary),
    "mean_absolute_error": round(float((forecast - came).abs().mean()), 2),
    "rank_correlation": round(float(forecast.corr(came, method="spearman")), 4),
    "total_ratio": round(float(forecast.sum() / came.sum()), 4),
    "parameters": {name: round(float(value), 4) for name, value in {**purchases.params_, **amounts.params_}.items()},
}))
