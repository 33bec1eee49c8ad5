//! Training, the trained model, its item-to-item answers and its file form; slates are filled in `chain`.

use dhow_events::{ProductId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::items::Items;
use crate::kits::Kits;
use crate::lists::Lists;
use crate::neighbours::{Neighbour, neighbours};
use crate::popularity::Popularity;
use crate::ranking::Ranking;
use crate::sequences::{Sequences, actions};
use crate::slate::check_count;
use crate::together::BoughtTogether;
use crate::{CatalogueItem, Interaction, RecommendError, Settings};

/// Why a model could not be trained.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TrainError {
    /// There is no product to recommend.
    #[error("the catalogue is empty; give at least one product")]
    NoCatalogue,
    /// There is nothing to learn from.
    #[error("there are no interactions to train on; give at least one view, cart or purchase")]
    NoInteractions,
    /// All interactions are about products outside the catalogue.
    #[error("none of the {interactions} interactions is about a product of the catalogue; their ids must be the same")]
    NoKnownProduct {
        /// How many interactions were given.
        interactions: usize,
    },
    /// More interactions than row numbers can count.
    #[error("{interactions} interactions were given; at most {limit} can be trained on at once")]
    TooManyInteractions {
        /// How many interactions were given.
        interactions: usize,
        /// The limit, [`MAX_INTERACTIONS`].
        limit: usize,
    },
    /// A product stands in the catalogue twice.
    #[error("product {0} is in the catalogue more than once; each product may be there once")]
    DuplicateProduct(ProductId),
    /// A price below zero.
    #[error("product {product} costs {price_usd_minor} US cents; a price is at least 0")]
    NegativePrice {
        /// The product.
        product: ProductId,
        /// Its price.
        price_usd_minor: i64,
    },
    /// A setting out of its range.
    #[error("setting `{name}` is out of range; it must be {range}")]
    Setting {
        /// Its name.
        name: &'static str,
        /// The range in words.
        range: &'static str,
    },
    /// No validation session has two actions, so that settings cannot be compared.
    #[error("no validation session has two actions; settings are chosen by predicting each next action")]
    NoValidation,
    /// Baskets could not be counted.
    #[error("starter kits could not be counted: {0}")]
    Kits(#[from] dhow_bundles::BundlesError),
    /// Past visits could not be indexed, or a setting of theirs is out of its range.
    #[error("past visits could not be learned from: {0}")]
    Visits(#[from] dhow_sessions::SessionsError),
    /// Tastes could not be fitted.
    #[error("tastes could not be learned: {0}")]
    Tastes(#[from] dhow_factors::FactorsError),
    /// The ranker could not be learned.
    #[error("the ranker could not be learned: {0}")]
    Ranker(#[from] dhow_ranking::RankingError),
    /// The evaluation of a trial was refused.
    #[error("settings could not be compared: {0}")]
    Evaluation(#[from] RecommendError),
}

/// Why bytes are not a recommender.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelFileError {
    /// The bytes do not begin as a recommender does.
    #[error("this is no Dhow recommender: it does not begin with `DHOWRECO`")]
    Foreign,
    /// Another version of the format.
    #[error("the recommender has format version {found}, this program reads version {supported}; train it again")]
    Version {
        /// The file's version.
        found: u8,
        /// The version that is read.
        supported: u8,
    },
    /// The content differs from what was written.
    #[error("the recommender is damaged: its checksum does not match; copy the file again or train again")]
    Damaged,
    /// The checksum is right, but the content contradicts itself.
    #[error("the recommender's content is not sound ({0}); train it again")]
    Unsound(&'static str),
    /// The model could not be encoded.
    #[error("the recommender could not be encoded: {0}")]
    Encode(String),
}

/// What a model was trained on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TrainingSummary {
    /// Products of the catalogue.
    pub products: usize,
    /// Interactions that were given.
    pub interactions: usize,
    /// Of these, about products outside the catalogue, and left out.
    pub unknown_product_interactions: usize,
    /// Of these, exact repetitions of another one, and left out.
    pub duplicate_interactions: usize,
    /// Sessions and persons' purchase histories that the neighbours were counted on.
    pub sequences: usize,
    /// Products with at least one neighbour.
    pub products_with_neighbours: usize,
    /// The last event time learned from; recency counts back from here.
    pub trained_until: Timestamp,
}

/// A trained recommender for one tenant: immutable, shared between threads, answered through [`crate::Recommender`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecommendModel {
    pub(crate) settings: Settings,
    pub(crate) summary: TrainingSummary,
    pub(crate) items: Items,
    pub(crate) neighbours: Lists<Neighbour>,
    pub(crate) together: BoughtTogether,
    pub(crate) popularity: Popularity,
    /// The second stage, where it was learned.
    pub(crate) ranking: Option<Ranking>,
    /// Starter kits, where they were counted.
    pub(crate) kits: Option<Kits>,
}

/// At most so many interactions are trained on at once.
pub const MAX_INTERACTIONS: usize = u32::MAX as usize / 2;

/// Learns from what shoppers did, up to the last interaction's time.
///
/// The answer depends on the set of interactions alone: not on their order, their repetitions or the number of threads.
///
/// # Errors
/// A setting out of range, an empty or contradictory catalogue, or nothing to learn from: see [`TrainError`].
pub fn train(
    interactions: &[Interaction],
    catalogue: &[CatalogueItem],
    settings: &Settings,
) -> Result<RecommendModel, TrainError> {
    settings.check()?;
    if interactions.len() > MAX_INTERACTIONS {
        return Err(TrainError::TooManyInteractions { interactions: interactions.len(), limit: MAX_INTERACTIONS });
    }
    let items = Items::new(catalogue)?;
    let actions = actions(interactions, &items);
    let Some(trained_until) = actions.iter().map(|action| action.time).max() else {
        return Err(match interactions.len() {
            0 => TrainError::NoInteractions,
            interactions => TrainError::NoKnownProduct { interactions },
        });
    };
    let unknown = interactions.iter().filter(|i| items.find(i.product).is_none()).count();
    let sequences = Sequences::new(&actions, trained_until, settings);
    let neighbours = neighbours(&sequences, items.len(), settings);
    let together = BoughtTogether::new(&actions, items.len(), settings);
    let popularity = Popularity::new(&actions, &items, trained_until, settings);
    let summary = TrainingSummary {
        products: items.len(),
        interactions: interactions.len(),
        unknown_product_interactions: unknown,
        duplicate_interactions: interactions.len() - unknown - actions.len(),
        sequences: sequences.weights.len(),
        products_with_neighbours: (0..items.len()).filter(|item| !neighbours.row(*item).is_empty()).count(),
        trained_until,
    };
    Ok(RecommendModel {
        settings: *settings,
        summary,
        items,
        neighbours,
        together,
        popularity,
        ranking: None,
        kits: None,
    })
}

/// A product that shoppers turn to after, or before, another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Related {
    /// The product.
    pub product: ProductId,
    /// Strength, above 0; comparable within one answer.
    pub score: f64,
}

/// A product that is in the same baskets as another more often than by chance.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Companion {
    /// The product.
    pub product: ProductId,
    /// Baskets with both.
    pub baskets: u32,
    /// The share of all baskets that hold both, 0 to 1.
    pub support: f64,
    /// The share of the first product's baskets that hold this one too, 0 to 1.
    pub confidence: f64,
    /// How many times more often than by chance the two meet, above 1.
    pub lift: f64,
}

impl RecommendModel {
    /// What the model was trained on.
    pub fn summary(&self) -> &TrainingSummary {
        &self.summary
    }

    /// What the model was trained with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Up to `count` eligible products that go with `product`, best first.
    ///
    /// # Errors
    /// [`RecommendError::UnknownProduct`], or a count out of range.
    pub fn related(
        &self,
        product: ProductId,
        count: usize,
        eligible: &dyn Fn(ProductId) -> bool,
    ) -> Result<Vec<Related>, RecommendError> {
        let item = self.known(product, count)?;
        let all = self.neighbours.row(item as usize).iter();
        let related = all.map(|n| Related { product: self.items.product(n.item), score: f64::from(n.score) });
        Ok(related.filter(|r| eligible(r.product)).take(count).collect())
    }

    /// Up to `count` eligible products that are bought in one session with `product`, best first by the shrunk cosine.
    ///
    /// # Errors
    /// [`RecommendError::UnknownProduct`], or a count out of range.
    pub fn bought_together(
        &self,
        product: ProductId,
        count: usize,
        eligible: &dyn Fn(ProductId) -> bool,
    ) -> Result<Vec<Companion>, RecommendError> {
        let item = self.known(product, count)?;
        let of_product = f64::from(self.together.item_baskets[item as usize]);
        let companion = |partner: &crate::together::Partner| Companion {
            product: self.items.product(partner.item),
            baskets: partner.baskets,
            support: f64::from(partner.baskets) / f64::from(self.together.baskets),
            confidence: f64::from(partner.baskets) / of_product,
            lift: self.together.lift(item, partner),
        };
        let all = self.together.partners.row(item as usize).iter().map(companion);
        Ok(all.filter(|c| eligible(c.product)).take(count).collect())
    }

    fn known(&self, product: ProductId, count: usize) -> Result<u32, RecommendError> {
        check_count(count)?;
        self.items.find(product).ok_or(RecommendError::UnknownProduct(product))
    }

    /// The model as bytes: a mark, a version, a checksum, the content.
    ///
    /// # Errors
    /// [`ModelFileError::Encode`] when the content cannot be encoded.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ModelFileError> {
        let content = postcard::to_stdvec(self).map_err(|e| ModelFileError::Encode(e.to_string()))?;
        let checksum = blake3::hash(&content);
        Ok([MARK, &[VERSION], checksum.as_bytes(), &content].concat())
    }

    /// Reads what [`RecommendModel::to_bytes`] wrote.
    ///
    /// # Errors
    /// Foreign, damaged or contradictory bytes, or another version of the format.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ModelFileError> {
        let rest = bytes.strip_prefix(MARK).ok_or(ModelFileError::Foreign)?;
        let (&found, rest) = rest.split_first().ok_or(ModelFileError::Damaged)?;
        if found != VERSION {
            return Err(ModelFileError::Version { found, supported: VERSION });
        }
        let (checksum, content) = rest.split_at_checked(blake3::OUT_LEN).ok_or(ModelFileError::Damaged)?;
        if blake3::hash(content).as_bytes() != checksum {
            return Err(ModelFileError::Damaged);
        }
        let mut model: Self =
            postcard::from_bytes(content).map_err(|_| ModelFileError::Unsound("it cannot be decoded"))?;
        model.check()?;
        model.items.sort_by_price();
        if let Some(ranking) = &mut model.ranking {
            ranking.sources.index_content().map_err(|_| ModelFileError::Unsound("tastes for words and categories"))?;
        }
        Ok(model)
    }

    /// Refuses content that would make an answer fail later.
    fn check(&self) -> Result<(), ModelFileError> {
        let items = self.items.len();
        let known = |n: &Neighbour| (n.item as usize) < items && n.score.is_finite();
        let ranked = self.ranking.as_ref().is_none_or(|ranking| ranking.is_sound(items));
        let kits = self.kits.as_ref().is_none_or(|kits| kits.is_sound(items));
        let parts = [
            (kits, "starter kits"),
            (ranked, "second stage"),
            (self.settings.check().is_ok(), "settings"),
            (self.items.is_sound(), "catalogue"),
            (self.neighbours.is_sound(items, known), "neighbours"),
            (self.together.is_sound(items), "baskets"),
            (self.popularity.is_sound(&self.items), "popularity"),
        ];
        match parts.into_iter().find(|(sound, _)| !sound) {
            Some((_, part)) => Err(ModelFileError::Unsound(part)),
            None => Ok(()),
        }
    }
}

const MARK: &[u8] = b"DHOWRECO";
const VERSION: u8 = 3;
