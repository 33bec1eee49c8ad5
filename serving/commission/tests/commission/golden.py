"""Writes golden.csv: commissions by the rule as it is written for people, in exact fractions; shares no code with the crate.

    python3 golden.py > golden.csv
"""

from fractions import Fraction as F
from math import ceil, floor

BASE = {"free": F(5), "professional": F("3.5"), "enterprise": F("2.5")}  # per cent


def discount(plan, settled_usd, contract):
    """Points off by volume and by plan; the larger of the two."""
    if settled_usd < 10_000:
        volume = F(0)
    elif settled_usd < 50_000:
        volume = F("0.5")
    elif settled_usd < 100_000:
        volume = F(1)
    elif settled_usd < 500_000:
        volume = F("1.5")
    else:
        volume = F("1.5") if contract is None else contract
    of_plan = F(0)
    if plan == "professional" and settled_usd >= 50_000:
        of_plan = F("0.5")
    if plan == "enterprise" and settled_usd >= 100_000:
        of_plan = F(1)
    return max(volume, of_plan)


def commission(plan, settled_usd, contract, category, amount_minor, usd_minor, for_minor):
    """Amount in minor units, rate in per cent, and what decided."""
    if category == "strategic":
        return 0, F(0), "strategic"
    rate = BASE[plan] - discount(plan, settled_usd, contract)
    rate += {"jewellery": F(1), "groceries": F("-0.5")}.get(category, F(0))
    rate = max(rate, F("1.5"))
    by_rate = floor(amount_minor * rate / 100 + F(1, 2))
    minimum = ceil(F(50) * for_minor / usd_minor)
    if by_rate >= minimum:
        return by_rate, rate, "rate"
    if minimum <= amount_minor:
        return minimum, rate, "minimum"
    return amount_minor, rate, "whole_order"


EDGES = [0, F("9999.99"), 10_000, F("49999.99"), 50_000, F("99999.99"), 100_000, F("499999.99"), 500_000, 2_000_000]
# Currency, cents of USD for so many minor units: dollar, yen (no decimals), dinar (three), naira.
CURRENCIES = [("USD", 1, 1), ("JPY", 67, 100), ("KWD", 325, 1000), ("NGN", 1, 1537)]

print("plan,settled_usd_minor,contract_ppm,category,amount_minor,currency,usd_minor,for_minor,commission_minor,rate_ppm,decided_by")


def row(plan, settled, contract, category, amount, currency, usd_minor, for_minor):
    minor, rate, decided = commission(plan, F(settled), contract, category, amount, usd_minor, for_minor)
    shown = "" if contract is None else int(contract * 10_000)
    print(f"{plan},{int(F(settled) * 100)},{shown},{category},{amount},{currency},{usd_minor},{for_minor},{minor},{int(rate * 10_000)},{decided}")


for plan in BASE:
    for settled in EDGES:
        for category in ["books", "jewellery", "groceries", "strategic"]:
            for amount in [12_345, 1_000]:
                row(plan, settled, None, category, amount, *CURRENCIES[0])
        for contract in [F(0), F(1), F("2.25"), F(10)]:
            row(plan, settled, contract, "books", 999_999, *CURRENCIES[0])
# The minimum's edges: amounts around where the rate reaches it, and orders below it, in every currency.
for plan in BASE:
    for currency, usd_minor, for_minor in CURRENCIES:
        minimum = ceil(F(50) * for_minor / usd_minor)
        at = floor(F(minimum) * 100 / BASE[plan])
        for amount in sorted({0, 1, minimum - 1, minimum, minimum + 1, at - 1, at, at + 1, at * 3}):
            row(plan, 0, None, "books", amount, currency, usd_minor, for_minor)
# Halves of a minor unit.
for amount in [1_010, 1_030, 10_050, 10_100, 10_150, 10**15 + 10]:
    for plan in BASE:
        row(plan, 0, None, "books", amount, *CURRENCIES[0])
