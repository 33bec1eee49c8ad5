//! Where a product may be sold: the one rule that search, recommendations and checkout share, and the continents' countries; what else keeps a product from being sold is not here.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Region, TextError};

/// The most places of one rule.
pub const SALE_REGIONS_MAX: usize = 300;
/// What stands before a denied place.
const DENIED: char = '!';

/// Continents by their UN M49 code with their countries by ISO 3166-1, as the UN assigns them; Taiwan, which ISO lists and M49
/// does not, is in Asia.
const CONTINENTS: [(&str, &str); 6] = [
    (
        "002",
        "AO BF BI BJ BW CD CF CG CI CM CV DJ DZ EG EH ER ET GA GH GM GN GQ GW IO KE KM LR LS LY MA MG ML MR MU MW MZ NA NE NG \
         RE RW SC SD SH SL SN SO SS ST SZ TD TF TG TN TZ UG YT ZA ZM ZW",
    ),
    ("009", "AS AU CC CK CX FJ FM GU HM KI MH MP NC NF NR NU NZ PF PG PN PW SB TK TO TV UM VU WF WS"),
    ("010", "AQ"),
    (
        "019",
        "AG AI AR AW BB BL BM BO BQ BR BS BV BZ CA CL CO CR CU CW DM DO EC FK GD GF GL GP GS GT GY HN HT JM KN KY LC MF MQ MS \
         MX NI PA PE PM PR PY SR SV SX TC TT US UY VC VE VG VI",
    ),
    (
        "142",
        "AE AF AM AZ BD BH BN BT CN CY GE HK ID IL IN IQ IR JO JP KG KH KP KR KW KZ LA LB LK MM MN MO MV MY NP OM PH PK PS QA \
         SA SG SY TH TJ TL TM TR TW UZ VN YE",
    ),
    (
        "150",
        "AD AL AT AX BA BE BG BY CH CZ DE DK EE ES FI FO FR GB GG GI GR HR HU IE IM IS IT JE LI LT LU LV MC MD ME MK MT NL NO \
         PL PT RO RS RU SE SI SJ SK SM UA VA",
    ),
];

/// Where a product may be sold, written as places that commas separate; `!` before a place denies it.
///
/// A place is a continent by its UN M49 code (`002` Africa, `009` Oceania, `010` Antarctica, `019` the Americas, `142` Asia,
/// `150` Europe), a country (`NG`), a state or province (`NG-LA`) or a city (`NG-LA-IKEJA`); small and large letters are one.
///
/// **The rule.** Of the places that hold the buyer's region the most specific decides: a city before a state, a state before a
/// country, a country before a continent. Where one place is both allowed and denied it is denied. Where no place holds the
/// region the product is sold if nothing is allowed by name, and is not sold if anything is. So nothing means everywhere,
/// `NG,GH` these two countries, `!SA` everywhere else, and `002,!NG,NG-LA` Africa with Lagos of Nigeria alone.
///
/// It is kept in capitals, sorted, each place once, so that two that say the same in another order are equal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct SaleRegions(String);

/// What is wrong with the text of [`SaleRegions`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SaleRegionsError {
    /// Too many places.
    #[error("has {0} places; at most {SALE_REGIONS_MAX} are taken")]
    TooMany(usize),
    /// Not a region at all.
    #[error(transparent)]
    Region(#[from] TextError),
    /// A region that is no place.
    #[error(
        "`{0}` is no place: it must be a continent (002, 009, 010, 019, 142 or 150), a country by ISO 3166-1 such as NG, a \
         state by ISO 3166-2 such as NG-LA, or a city within one such as NG-LA-IKEJA"
    )]
    Unknown(Region),
}

impl SaleRegions {
    /// Whether the product may be sold to a buyer in `region`, by the [rule](Self).
    pub fn admits(&self, region: &str) -> bool {
        let (mut allowed, mut denied, mut any_allowed) = (None, None, false);
        for rule in self.rules() {
            match rule.strip_prefix(DENIED) {
                Some(place) => denied = denied.max(level_within(place, region)),
                None => {
                    any_allowed = true;
                    allowed = allowed.max(level_within(rule, region));
                }
            }
        }
        // Nothing is less than any level.
        if allowed.is_none() && denied.is_none() { !any_allowed } else { allowed > denied }
    }

    /// Whether it is sold everywhere, because no place is named.
    pub const fn is_everywhere(&self) -> bool {
        self.0.is_empty()
    }

    /// The text, in its one form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn rules(&self) -> impl Iterator<Item = &str> {
        self.0.split(',').filter(|rule| !rule.is_empty())
    }
}

/// How specific `place` is where it holds `region`: 0 for a continent, then the number of the parts of its name.
fn level_within(place: &str, region: &str) -> Option<usize> {
    if let Some(countries) = countries_of(place) {
        let country = region.split('-').next()?;
        return countries.split(' ').any(|other| other.eq_ignore_ascii_case(country)).then_some(0);
    }
    let mut parts = region.split('-');
    place.split('-').try_fold(0, |level, part| parts.next()?.eq_ignore_ascii_case(part).then_some(level + 1))
}

fn countries_of(continent: &str) -> Option<&'static str> {
    CONTINENTS.iter().find(|(code, _)| *code == continent).map(|(_, countries)| *countries)
}

fn is_place(region: &Region) -> bool {
    let text = region.as_str();
    let mut parts = text.split('-');
    let country = parts.next().unwrap_or_default();
    let is_country = || CONTINENTS.iter().any(|(_, countries)| countries.split(' ').any(|other| other == country));
    let is_state = |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    countries_of(text).is_some()
        || (is_country() && parts.next().is_none_or(is_state) && parts.all(|part| !part.trim().is_empty()))
}

impl FromStr for SaleRegions {
    type Err = SaleRegionsError;

    fn from_str(text: &str) -> Result<Self, SaleRegionsError> {
        let written = || text.split(',').map(str::trim).filter(|rule| !rule.is_empty());
        let count = written().count();
        if count > SALE_REGIONS_MAX {
            return Err(SaleRegionsError::TooMany(count));
        }
        let mut rules = Vec::with_capacity(count);
        for rule in written() {
            let rule = rule.to_ascii_uppercase();
            let (sign, place) = rule.strip_prefix(DENIED).map_or(("", rule.as_str()), |place| ("!", place.trim()));
            let region = Region::new(place)?;
            if !is_place(&region) {
                return Err(SaleRegionsError::Unknown(region));
            }
            rules.push(format!("{sign}{region}"));
        }
        rules.sort_unstable();
        rules.dedup();
        Ok(Self(rules.join(",")))
    }
}

impl fmt::Display for SaleRegions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for SaleRegions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SaleRegions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
