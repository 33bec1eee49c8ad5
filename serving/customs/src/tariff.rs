//! Versioned, dated tariff tables and their provisions, read from CSV; it computes no sum.

use std::collections::BTreeMap;

use dhow_events::Currency;
use dhow_ledger::divide::RatePpm;
use jiff::civil::Date;
use serde::Deserialize;

use crate::matching::{Scope, rows};
use crate::{Country, HsCode, RowError};

/// The most provisions of a table.
pub const PROVISIONS_MAX: usize = 200_000;
/// The highest rate of a provision: 1000 %.
pub const RATE_PPM_MAX: u32 = 10_000_000;

/// What a provision does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProvisionKind {
    /// The duty of the tariff; of those that match the narrowest counts.
    Duty,
    /// A duty besides, on the customs value; all that match count, each id once.
    Extra,
    /// Lifts extra duties and costs nothing itself.
    Exempt,
    /// A tax on value and duties; of those that match the narrowest counts.
    Tax,
    /// Up to how much a consignment costs neither duty nor tax.
    DeMinimis,
    /// Up to how much a consignment costs tax only.
    DeMinimisDuty,
}

/// What a specific rate counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpecificUnit {
    /// Net kilograms.
    Kg,
    /// Pieces, or pairs, or whatever the tariff counts.
    Item,
}

/// An amount for a number of units: 44 cents per 10 kg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpecificRate {
    /// Minor units of the table's currency.
    pub amount_minor: u32,
    /// For how many units, at least 1.
    pub per: u32,
    /// Which units.
    pub unit: SpecificUnit,
}

/// A row of a tariff table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provision {
    /// The provision's own name: the number of a heading, a law's paragraph.
    pub id: String,
    /// What it does.
    pub kind: ProvisionKind,
    /// The share of the base; with a specific rate besides, the duty is compound.
    pub ad_valorem: RatePpm,
    /// The amount by weight or number.
    pub specific: Option<SpecificRate>,
    /// The ids of extra duties that do not count where this provision does.
    pub lifts: Vec<String>,
    /// Up to how much, of a de minimis.
    pub limit_minor: i64,
    /// Why, in words for the buyer.
    pub reason: String,
    pub(crate) scope: Scope,
}

/// What a table is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TariffHead {
    /// Its name, unlike that of every other table.
    pub version: String,
    /// Where goods come to.
    pub destination: Country,
    /// What its amounts, and the values that it is asked about, are in.
    pub currency: Currency,
    /// The first day that it knows of.
    pub from: Date,
    /// The last day that it knows of.
    pub until: Date,
}

/// A tariff between two days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TariffTable {
    pub(crate) head: TariffHead,
    /// By what they do and the digits that they apply to.
    provisions: BTreeMap<(ProvisionKind, String), Vec<Provision>>,
}

#[derive(Deserialize)]
struct Row {
    kind: ProvisionKind,
    id: String,
    hs: String,
    origins: String,
    from: String,
    until: String,
    ad_valorem_ppm: Option<u32>,
    specific_minor: Option<u32>,
    per: Option<u32>,
    unit: Option<SpecificUnit>,
    lifts: String,
    limit_minor: Option<i64>,
    reason: String,
}

impl Row {
    fn provision(self, line: u64) -> Result<Provision, RowError> {
        let wrong = |problem: &str| Err(RowError::new(line, format!("{}: {problem}", self.id)));
        if self.id.is_empty() || self.reason.is_empty() {
            return wrong("a provision has an id and a reason");
        }
        let specific = match (self.specific_minor, self.per, self.unit) {
            (None, None, None) => None,
            (Some(amount_minor), Some(per), Some(unit)) if per > 0 => Some(SpecificRate { amount_minor, per, unit }),
            _ => return wrong("specific_minor, per (at least 1) and unit belong together"),
        };
        let is_limit = matches!(self.kind, ProvisionKind::DeMinimis | ProvisionKind::DeMinimisDuty);
        let has_rate = self.ad_valorem_ppm.is_some() || specific.is_some();
        if is_limit != self.limit_minor.is_some_and(|limit| limit >= 0) || (!is_limit && self.limit_minor.is_some()) {
            return wrong("a de minimis, and nothing else, has a limit_minor, of 0 or more");
        }
        if has_rate != matches!(self.kind, ProvisionKind::Duty | ProvisionKind::Extra | ProvisionKind::Tax) {
            return wrong("duty, extra and tax have a rate, be it 0; exempt and de minimis have none");
        }
        if self.kind == ProvisionKind::Tax && specific.is_some() {
            return wrong("a tax has no specific rate");
        }
        if self.ad_valorem_ppm.unwrap_or(0) > RATE_PPM_MAX {
            return wrong("its rate is above 1000 %");
        }
        let scope = Scope::read(line, &self.hs, &self.origins, (&self.from, &self.until))?;
        let lifts = self.lifts.split('|').filter(|id| !id.is_empty()).map(str::to_owned).collect();
        Ok(Provision {
            id: self.id,
            kind: self.kind,
            ad_valorem: RatePpm(self.ad_valorem_ppm.unwrap_or(0)),
            specific,
            lifts,
            limit_minor: self.limit_minor.unwrap_or(0),
            reason: self.reason,
            scope,
        })
    }
}

impl TariffTable {
    /// Reads a table with the columns `kind,id,hs,origins,from,until,ad_valorem_ppm,specific_minor,per,unit,lifts,limit_minor,reason`.
    /// `hs` is the first digits of a code or `*`, `origins` is `*` or `CN|HK`, days are inclusive and may be empty, `lifts` is
    /// empty or ids with `|` between them.
    ///
    /// # Errors
    /// A row that cannot be read or contradicts itself; two rows of which nobody could tell which one counts; an extra duty
    /// that is lifted and does not exist; more than [`PROVISIONS_MAX`] rows.
    pub fn from_csv(head: TariffHead, text: &str) -> Result<Self, RowError> {
        if head.from > head.until {
            return Err(RowError::new(0, format!("the table begins on {}, after its last day", head.from)));
        }
        let mut provisions: BTreeMap<(ProvisionKind, String), Vec<Provision>> = BTreeMap::new();
        for (line, row) in rows::<Row>(text, PROVISIONS_MAX)? {
            let provision = row.provision(line)?;
            let beside = provisions.entry((provision.kind, provision.scope.prefix.clone())).or_default();
            let all_count = matches!(provision.kind, ProvisionKind::Extra | ProvisionKind::Exempt);
            let rival = beside
                .iter()
                .find(|other| (!all_count || other.id == provision.id) && other.scope.collides(&provision.scope));
            if let Some(rival) = rival {
                return Err(RowError::new(line, format!("{} and {} apply to the same goods", provision.id, rival.id)));
            }
            beside.push(provision);
        }
        let table = Self { head, provisions };
        let is_extra = |id: &String| table.all().any(|other| other.kind == ProvisionKind::Extra && other.id == *id);
        for provision in table.all() {
            if let Some(unknown) = provision.lifts.iter().find(|id| !is_extra(id)) {
                return Err(RowError::new(0, format!("{} lifts {unknown}, which is no extra duty", provision.id)));
            }
        }
        Ok(table)
    }

    /// What the table is.
    pub fn head(&self) -> &TariffHead {
        &self.head
    }

    fn all(&self) -> impl Iterator<Item = &Provision> {
        self.provisions.values().flatten()
    }

    /// The provisions of a kind that apply to goods on a day, the narrowest first.
    pub(crate) fn matching(&self, kind: ProvisionKind, code: &HsCode, origin: Country, on: Date) -> Vec<&Provision> {
        let mut found: Vec<&Provision> = (0..=code.digits().len())
            .filter_map(|length| self.provisions.get(&(kind, code.digits()[..length].to_owned())))
            .flatten()
            .filter(|provision| provision.scope.applies(code, origin, on))
            .collect();
        found.sort_by(|a, b| b.scope.narrowness().cmp(&a.scope.narrowness()).then_with(|| a.id.cmp(&b.id)));
        found
    }
}

/// Tables of several destinations and times.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TariffTables(Vec<TariffTable>);

impl TariffTables {
    /// Adds a table.
    ///
    /// # Errors
    /// A version that is there already, a day of the same destination that another table covers.
    pub fn add(&mut self, table: TariffTable) -> Result<(), RowError> {
        let head = &table.head;
        for other in self.0.iter().map(|other| &other.head) {
            if other.version == head.version {
                return Err(RowError::new(0, format!("there is a table {} already", head.version)));
            }
            if other.destination == head.destination && other.from <= head.until && head.from <= other.until {
                let message =
                    format!("{} and {} cover the same days of {}", head.version, other.version, head.destination);
                return Err(RowError::new(0, message));
            }
        }
        self.0.push(table);
        Ok(())
    }

    /// The table of a destination on a day.
    pub fn at(&self, destination: Country, on: Date) -> Option<&TariffTable> {
        let covers = |head: &TariffHead| head.destination == destination && (head.from..=head.until).contains(&on);
        self.0.iter().find(|table| covers(&table.head))
    }
}
