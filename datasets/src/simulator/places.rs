//! The places of the simulated world: regions with their currency and rate, cities with coordinates; it draws nothing.

use dhow_events::{Currency, MoneyError, Region, TextError};

/// A country of the simulated world.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Land {
    pub(crate) code: &'static str,
    pub(crate) currency: &'static str,
    /// Dollars for one major unit; fixed for the whole simulation.
    pub(crate) usd_per_unit: f64,
    /// Share of the buyers.
    pub(crate) share: f64,
    /// What is used by those who do not pay by card.
    pub(crate) other_method: &'static str,
    /// Share of the buyers who pay by card.
    pub(crate) card_share: f64,
    /// How much longer the last mile takes than in Great Britain.
    pub(crate) last_mile: f64,
}

const fn land(
    code: &'static str,
    currency: &'static str,
    usd_per_unit: f64,
    share: f64,
    other_method: &'static str,
    card_share: f64,
    last_mile: f64,
) -> Land {
    Land { code, currency, usd_per_unit, share, other_method, card_share, last_mile }
}

/// Rates are fixed, of the order of those of 2025; every currency here has two decimals.
pub(crate) const LANDS: [Land; 10] = [
    land("GB", "GBP", 1.27, 0.34, "wallet", 0.86, 1.0),
    land("DE", "EUR", 1.09, 0.12, "bank_transfer", 0.66, 0.95),
    land("FR", "EUR", 1.09, 0.10, "wallet", 0.84, 1.05),
    land("NG", "NGN", 0.00065, 0.10, "bank_transfer", 0.62, 1.9),
    land("KE", "KES", 0.0077, 0.06, "mobile_money", 0.48, 1.7),
    land("EG", "EGP", 0.0205, 0.05, "cash_on_delivery", 0.52, 1.5),
    land("SA", "SAR", 0.2667, 0.05, "cash_on_delivery", 0.72, 1.25),
    land("AE", "AED", 0.2723, 0.05, "wallet", 0.80, 1.1),
    land("IN", "INR", 0.0119, 0.07, "bank_transfer", 0.58, 1.6),
    land("US", "USD", 1.0, 0.06, "wallet", 0.88, 1.15),
];

/// A city: its land's number, degrees north and east, and its weight among the cities of the land.
#[derive(Debug, Clone, Copy)]
pub(crate) struct City {
    pub(crate) land: usize,
    pub(crate) latitude: f64,
    pub(crate) longitude: f64,
    pub(crate) weight: f64,
}

const fn city(land: usize, latitude: f64, longitude: f64, weight: f64) -> City {
    City { land, latitude, longitude, weight }
}

/// London, Birmingham, Manchester, Glasgow, Leeds, Bristol, Liverpool, Edinburgh; Berlin, Hamburg, Munich, Cologne,
/// Frankfurt, Stuttgart, Leipzig; Paris, Marseille, Lyon, Toulouse, Nice, Lille; Lagos, Kano, Ibadan, Abuja,
/// Port Harcourt, Benin City, Kaduna; Nairobi, Mombasa, Kisumu, Nakuru, Eldoret; Cairo, Alexandria, Giza, Luxor,
/// Mansoura; Riyadh, Jeddah, Mecca, Dammam, Medina; Dubai, Abu Dhabi, Sharjah, Al Ain; Mumbai, Delhi, Bengaluru,
/// Hyderabad, Chennai, Kolkata, Pune; New York, Los Angeles, Chicago, Houston, Atlanta, Seattle, Miami.
pub(crate) const CITIES: [City; 61] = [
    city(0, 51.507, -0.128, 8.9),
    city(0, 52.480, -1.903, 1.1),
    city(0, 53.479, -2.245, 1.4),
    city(0, 55.864, -4.252, 0.9),
    city(0, 53.801, -1.549, 0.8),
    city(0, 51.455, -2.588, 0.6),
    city(0, 53.408, -2.992, 0.6),
    city(0, 55.953, -3.188, 0.6),
    city(1, 52.520, 13.405, 3.6),
    city(1, 53.551, 9.994, 1.9),
    city(1, 48.137, 11.575, 1.5),
    city(1, 50.938, 6.960, 1.1),
    city(1, 50.110, 8.682, 0.8),
    city(1, 48.776, 9.183, 0.6),
    city(1, 51.340, 12.375, 0.6),
    city(2, 48.857, 2.352, 5.0),
    city(2, 43.297, 5.381, 0.9),
    city(2, 45.764, 4.836, 0.8),
    city(2, 43.605, 1.444, 0.6),
    city(2, 43.710, 7.262, 0.4),
    city(2, 50.629, 3.057, 0.5),
    city(3, 6.524, 3.379, 8.0),
    city(3, 12.002, 8.592, 1.8),
    city(3, 7.378, 3.947, 1.6),
    city(3, 9.077, 7.399, 2.2),
    city(3, 4.816, 7.050, 1.4),
    city(3, 6.335, 5.604, 0.9),
    city(3, 10.526, 7.439, 0.8),
    city(4, -1.292, 36.822, 5.0),
    city(4, -4.044, 39.668, 1.4),
    city(4, -0.092, 34.768, 0.6),
    city(4, -0.303, 36.080, 0.6),
    city(4, 0.514, 35.270, 0.4),
    city(5, 30.044, 31.236, 7.0),
    city(5, 31.200, 29.919, 2.6),
    city(5, 30.013, 31.209, 2.4),
    city(5, 25.687, 32.640, 0.4),
    city(5, 31.041, 31.379, 0.5),
    city(6, 24.714, 46.675, 5.0),
    city(6, 21.486, 39.193, 3.2),
    city(6, 21.389, 39.858, 1.2),
    city(6, 26.421, 50.089, 0.9),
    city(6, 24.525, 39.570, 0.9),
    city(7, 25.205, 55.271, 3.4),
    city(7, 24.454, 54.377, 1.5),
    city(7, 25.346, 55.421, 1.2),
    city(7, 24.207, 55.745, 0.5),
    city(8, 19.076, 72.878, 5.0),
    city(8, 28.614, 77.209, 5.0),
    city(8, 12.972, 77.594, 3.6),
    city(8, 17.385, 78.487, 2.4),
    city(8, 13.083, 80.271, 2.2),
    city(8, 22.573, 88.364, 2.0),
    city(8, 18.520, 73.857, 1.6),
    city(9, 40.713, -74.006, 4.0),
    city(9, 34.052, -118.244, 3.0),
    city(9, 41.878, -87.630, 2.0),
    city(9, 29.760, -95.370, 1.6),
    city(9, 33.749, -84.388, 1.2),
    city(9, 47.606, -122.332, 1.0),
    city(9, 25.762, -80.192, 1.0),
];

/// The lands' codes and currencies in the types of the events, and the distances between cities.
#[derive(Debug, Clone)]
pub(crate) struct Atlas {
    pub(crate) regions: Vec<Region>,
    pub(crate) currencies: Vec<Currency>,
    distances_km: Vec<f64>,
}

/// A land of the list above is written wrongly.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// Its code.
    #[error("a region code is not valid: {0}")]
    Region(#[from] TextError),
    /// Its currency.
    #[error("a currency is not valid: {0}")]
    Currency(#[from] MoneyError),
}

impl Atlas {
    pub(crate) fn new() -> Result<Self, PlaceError> {
        let regions = LANDS.iter().map(|land| Region::new(land.code)).collect::<Result<_, _>>()?;
        let currencies = LANDS.iter().map(|land| Currency::new(land.currency)).collect::<Result<_, _>>()?;
        let distances_km =
            CITIES.iter().flat_map(|from| CITIES.iter().map(move |to| great_circle_km(from, to))).collect();
        Ok(Self { regions, currencies, distances_km })
    }

    pub(crate) fn distance_km(&self, from: usize, to: usize) -> f64 {
        self.distances_km[from * CITIES.len() + to]
    }

    /// Cents as minor units of the land's currency, at least 1.
    pub(crate) fn local_minor(&self, land: usize, usd_minor: i64) -> i64 {
        ((usd_minor as f64 / LANDS[land].usd_per_unit).round() as i64).max(1)
    }

    /// Minor units of the land's currency in cents.
    pub(crate) fn usd_minor(&self, land: usize, local_minor: i64) -> i64 {
        (local_minor as f64 * LANDS[land].usd_per_unit).round() as i64
    }
}

/// The fixed exchange rates of the simulated world: millionths of a unit of each currency for a dollar.
///
/// # Errors
/// The built-in list names a currency that does not exist.
pub fn units_per_usd_micros() -> Result<Vec<(Currency, i64)>, MoneyError> {
    let rate = |land: &Land| Ok((Currency::new(land.currency)?, (1e6 / land.usd_per_unit).round() as i64));
    LANDS.iter().map(rate).collect()
}

/// The haversine distance on a sphere of 6371 km.
fn great_circle_km(from: &City, to: &City) -> f64 {
    let (latitude_a, latitude_b) = (from.latitude.to_radians(), to.latitude.to_radians());
    let half_north = ((latitude_b - latitude_a) / 2.0).sin();
    let half_east = ((to.longitude - from.longitude).to_radians() / 2.0).sin();
    let chord = half_north * half_north + latitude_a.cos() * latitude_b.cos() * half_east * half_east;
    2.0 * 6371.0 * chord.sqrt().min(1.0).asin()
}
