//! Exchange rates against the United States dollar, as a table that is passed in; it fetches no rates.

use std::collections::BTreeMap;

use dhow_events::{Currency, Money, Timestamp};

/// Parts of a rate's unit: rates are kept as integers, so that every machine converts alike.
const RATE_PARTS: i128 = 1_000_000;

/// Why an amount was not converted, or a table not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// The table has no rate of the currency.
    #[error("there is no exchange rate for {currency} in the table of {as_of}")]
    Unknown {
        /// The currency.
        currency: Currency,
        /// The day of the table.
        as_of: Timestamp,
    },
    /// A rate must be positive.
    #[error("the rate of {currency} is {units_per_usd_micros} millionths of a unit per USD; it must be positive")]
    NotPositive {
        /// The currency.
        currency: Currency,
        /// The refused rate.
        units_per_usd_micros: i64,
    },
    /// The amount in cents does not fit in 64 bits.
    #[error("{0} is too large to be converted to cents")]
    TooLarge(Money),
}

/// How many units of each currency a dollar bought, at an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeRates {
    /// When the rates were taken; frozen on every checkout that used them.
    pub as_of: Timestamp,
    units_per_usd_micros: BTreeMap<Currency, i64>,
}

impl ExchangeRates {
    /// A table of rates in millionths of a unit per dollar (0.79 GBP per USD is `790_000`). The dollar itself is added.
    ///
    /// # Errors
    /// A rate that is not positive.
    pub fn new(as_of: Timestamp, rates: impl IntoIterator<Item = (Currency, i64)>) -> Result<Self, RateError> {
        let mut units_per_usd_micros: BTreeMap<_, _> = rates.into_iter().collect();
        if let Some((&currency, &rate)) = units_per_usd_micros.iter().find(|(_, rate)| **rate <= 0) {
            return Err(RateError::NotPositive { currency, units_per_usd_micros: rate });
        }
        units_per_usd_micros.insert(Currency::USD, RATE_PARTS as i64);
        Ok(Self { as_of, units_per_usd_micros })
    }

    /// The rate of `currency`, in millionths of a unit per dollar.
    ///
    /// # Errors
    /// A currency that is not in the table.
    pub fn units_per_usd_micros(&self, currency: Currency) -> Result<i64, RateError> {
        self.units_per_usd_micros.get(&currency).copied().ok_or(RateError::Unknown { currency, as_of: self.as_of })
    }

    /// `money` in United States cents, rounded to the nearest, halves away from zero.
    ///
    /// # Errors
    /// A currency that is not in the table, or a result beyond 64 bits.
    pub fn usd_minor(&self, money: Money) -> Result<i64, RateError> {
        let rate = i128::from(self.units_per_usd_micros(money.currency)?);
        let units = 10_i128.pow(money.currency.exponent());
        let numerator = i128::from(money.amount_minor) * 100 * RATE_PARTS;
        let denominator = units * rate;
        let rounded = (2 * numerator.abs() + denominator) / (2 * denominator) * numerator.signum();
        i64::try_from(rounded).map_err(|_| RateError::TooLarge(money))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_become_cents_rounded_to_the_nearest() -> Result<(), Box<dyn std::error::Error>> {
        let (yen, dinar) = (Currency::new("JPY")?, Currency::new("KWD")?);
        let rates = ExchangeRates::new(
            Timestamp::from_micros(0),
            [(yen, 150_000_000), (dinar, 307_000), (Currency::GBP, 790_000)],
        )?;
        assert_eq!(rates.usd_minor(Money::usd(1234))?, 1234);
        assert_eq!(rates.usd_minor(Money::new(150, yen))?, 100, "150 yen are one dollar");
        assert_eq!(rates.usd_minor(Money::new(1000, dinar))?, 326, "1 dinar at 0.307 is 3.257 dollars");
        assert_eq!(rates.usd_minor(Money::new(-79, Currency::GBP))?, -100);
        assert_eq!(rates.usd_minor(Money::new(3, yen))?, 2, "3 yen are exactly 2 cents");
        let unknown = rates.usd_minor(Money::new(1, Currency::EUR));
        assert_eq!(unknown, Err(RateError::Unknown { currency: Currency::EUR, as_of: rates.as_of }));
        assert!(ExchangeRates::new(Timestamp::from_micros(0), [(yen, 0)]).is_err());
        Ok(())
    }
}
