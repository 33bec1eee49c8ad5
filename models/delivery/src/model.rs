//! The model of delivery times: both moments, asked and fed from memory, and as bytes; each moment's quantiles are in `stage`.

use crate::history::{check, check_delivery};
use crate::judge::StageQuality;
use crate::stage::{Following, Forests, StageModel, learn_stage};
use crate::{Delivery, DeliveryError, Expectation, LEVELS, Parcel};
use dhow_events::Timestamp;
use parking_lot::RwLock;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// First byte of a stored model; it changes with the layout.
const VERSION: u8 = 1;

/// The moment from which time counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It was ordered; who carries it is not known.
    Ordered,
    /// It left the seller.
    Dispatched,
}

impl Stage {
    /// The moment as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Ordered => "ordered",
            Stage::Dispatched => "dispatched",
        }
    }
}

/// A learned model and how it did on the latest deliveries before they were learned from.
#[derive(Debug)]
pub struct Learned {
    /// The model.
    pub model: DeliveryModel,
    /// The first moment that was judged.
    pub judged_from: Timestamp,
    /// From the order on.
    pub ordered: StageQuality,
    /// From leaving the seller on.
    pub dispatched: StageQuality,
}

/// Quantiles of delivery times from both moments.
pub struct DeliveryModel {
    ordered: Live,
    dispatched: Live,
}

impl std::fmt::Debug for DeliveryModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeliveryModel")
    }
}

/// One moment with means and shifts that go on.
struct Live {
    stored: StageModel,
    forests: Forests,
    following: RwLock<Following>,
}

impl Live {
    fn open(stored: StageModel) -> Result<Live, DeliveryError> {
        let forests = Forests::compile(&stored)?;
        let following = RwLock::new(stored.following());
        Ok(Live { stored, forests, following })
    }
}

impl DeliveryModel {
    /// Learns from deliveries counted from their order and from leaving the seller, as they are known at `until`. Equal
    /// arguments give equal models.
    ///
    /// # Errors
    /// Too few deliveries, or one that cannot be.
    pub fn learn(
        ordered: &[Delivery],
        dispatched: &[Delivery],
        until: Timestamp,
        seed: u64,
    ) -> Result<Learned, DeliveryError> {
        let without_carrier = |one: &Delivery| Delivery { parcel: as_known(Stage::Ordered, &one.parcel), ..*one };
        let ordered: Vec<Delivery> = ordered.iter().map(without_carrier).collect();
        let (of_ordered, ordered) = learn_stage(&ordered, until, seed)?;
        let (of_dispatched, dispatched) = learn_stage(dispatched, until, seed)?;
        let model = DeliveryModel { ordered: Live::open(of_ordered)?, dispatched: Live::open(of_dispatched)? };
        let judged_from = dispatched.from;
        Ok(Learned { model, judged_from, ordered: ordered.quality, dispatched: dispatched.quality })
    }

    fn stage(&self, stage: Stage) -> &Live {
        match stage {
            Stage::Ordered => &self.ordered,
            Stage::Dispatched => &self.dispatched,
        }
    }

    /// The quantiles of the minutes from the moment on, at [`LEVELS`].
    ///
    /// # Errors
    /// A parcel that cannot be.
    pub fn minutes(&self, stage: Stage, parcel: &Parcel) -> Result<[f64; LEVELS.len()], DeliveryError> {
        check(parcel)?;
        let live = self.stage(stage);
        live.following.read().minutes(&live.forests, &as_known(stage, parcel))
    }

    /// What past deliveries expect of a parcel before the trees look at it.
    ///
    /// # Errors
    /// A parcel that cannot be.
    pub fn expectation(&self, stage: Stage, parcel: &Parcel) -> Result<Expectation, DeliveryError> {
        check(parcel)?;
        Ok(self.stage(stage).following.read().history.expectation(&as_known(stage, parcel)))
    }

    /// How the model, from the state that it was learned in, does on deliveries of the moments from `from` on that it has not
    /// learned from; it follows them, and those of before that arrive later, as they arrive.
    ///
    /// # Errors
    /// A delivery that cannot be.
    pub fn judge(&self, stage: Stage, deliveries: &[Delivery], from: Timestamp) -> Result<StageQuality, DeliveryError> {
        let known = |one: &Delivery| Delivery { parcel: as_known(stage, &one.parcel), ..*one };
        self.stage(stage).stored.judge(&deliveries.iter().map(known).collect::<Vec<_>>(), from)
    }

    /// Takes a delivery into the means and the shifts.
    ///
    /// # Errors
    /// A delivery that cannot be; the state is then as before.
    pub fn observe(&self, stage: Stage, delivery: &Delivery) -> Result<(), DeliveryError> {
        check_delivery(delivery)?;
        let (live, parcel) = (self.stage(stage), as_known(stage, &delivery.parcel));
        live.following.write().observe(&live.forests, &Delivery { parcel, ..*delivery })
    }

    /// What has followed deliveries since the model was learned, as bytes for `go_on`.
    ///
    /// # Errors
    /// When the encoder fails, which it does only out of memory.
    pub fn followed(&self) -> Result<Vec<u8>, DeliveryError> {
        let state = (&*self.ordered.following.read(), &*self.dispatched.following.read());
        postcard::to_extend(&state, vec![VERSION])
            .map_err(|error| DeliveryError::Corrupt { message: error.to_string() })
    }

    /// Goes on from where another process of the same model was.
    ///
    /// # Errors
    /// When the bytes are of another version, damaged, or followed by others; the state is then as before.
    pub fn go_on(&self, followed: &[u8]) -> Result<(), DeliveryError> {
        let (ordered, dispatched): (Following, Following) = read(followed)?;
        *self.ordered.following.write() = ordered;
        *self.dispatched.following.write() = dispatched;
        Ok(())
    }

    /// The model as it was learned, as bytes: a version byte, then postcard.
    ///
    /// # Errors
    /// When the encoder fails, which it does only out of memory.
    pub fn to_bytes(&self) -> Result<Vec<u8>, DeliveryError> {
        postcard::to_extend(&(&self.ordered.stored, &self.dispatched.stored), vec![VERSION])
            .map_err(|error| DeliveryError::Corrupt { message: error.to_string() })
    }

    /// A model from `to_bytes`.
    ///
    /// # Errors
    /// When the bytes are of another version, damaged, or followed by others.
    pub fn from_bytes(bytes: &[u8]) -> Result<DeliveryModel, DeliveryError> {
        let (ordered, dispatched): (StageModel, StageModel) = read(bytes)?;
        Ok(DeliveryModel { ordered: Live::open(ordered)?, dispatched: Live::open(dispatched)? })
    }
}

/// What follows the version byte, and nothing behind it.
fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DeliveryError> {
    let corrupt = |message: String| DeliveryError::Corrupt { message };
    let Some((&found, body)) = bytes.split_first() else { return Err(corrupt("it is empty".to_owned())) };
    if found != VERSION {
        return Err(DeliveryError::Version { found, read: VERSION });
    }
    let (value, rest) = postcard::take_from_bytes(body).map_err(|error| corrupt(error.to_string()))?;
    match rest.is_empty() {
        true => Ok(value),
        false => Err(corrupt(format!("{} bytes follow its end", rest.len()))),
    }
}

/// The parcel as far as it is known at the moment.
fn as_known(stage: Stage, parcel: &Parcel) -> Parcel {
    match stage {
        Stage::Ordered => Parcel { carrier: None, ..*parcel },
        Stage::Dispatched => *parcel,
    }
}
