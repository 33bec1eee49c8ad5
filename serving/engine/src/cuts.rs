//! How far the log was applied to what was read, as decisions record it, and back; reading is the feature store's.

use dhow_commerce::{AppliedOffset, StateShare};
use dhow_offline::ServedCut;
use dhow_online::{Cut, NoShare, Share};
use dhow_streams::Offsets;

/// The offsets of all cuts. Where the state is whole they name no share.
pub(crate) fn applied_offsets(cuts: &[Cut]) -> Vec<AppliedOffset> {
    let of_cut = |cut: &Cut| {
        let (number, count) = (cut.share.number(), cut.share.count());
        let share = (cut.share != Share::WHOLE).then_some(StateShare { number, count });
        let offset = move |&(partition, offset): &(u32, u64)| AppliedOffset { partition, offset, share, links: false };
        cut.offsets.iter().map(offset).collect::<Vec<_>>()
    };
    cuts.iter().flat_map(of_cut).collect()
}

/// The offsets that were applied to the links.
pub(crate) fn links_offsets(applied: &Offsets) -> Vec<AppliedOffset> {
    let offset =
        |(partition, offset): (u32, &u64)| AppliedOffset { partition, offset: *offset, share: None, links: true };
    (0..).zip(&applied.0).filter(|(_, offset)| **offset > 0).map(offset).collect()
}

/// How far the log was applied to the links that recorded offsets speak of.
pub(crate) fn links_cut(recorded: &[AppliedOffset], partition_count: u32) -> Offsets {
    let mut offsets = Offsets::start(partition_count);
    for applied in recorded.iter().filter(|applied| applied.links) {
        if let Some(offset) = offsets.0.get_mut(applied.partition as usize) {
            *offset = applied.offset;
        }
    }
    offsets
}

/// The cuts of the features that recorded offsets speak of.
///
/// # Errors
/// A share that is none of its count.
pub(crate) fn cuts_of(recorded: &[AppliedOffset]) -> Result<Vec<ServedCut>, NoShare> {
    let mut cuts: Vec<ServedCut> = Vec::new();
    for applied in recorded.iter().filter(|applied| !applied.links) {
        let share = applied.share.map_or(Ok(Share::WHOLE), |share| Share::new(share.number, share.count))?;
        let place = cuts.iter().position(|cut| cut.share == share).unwrap_or_else(|| {
            cuts.push(ServedCut { share, offsets: Vec::new() });
            cuts.len() - 1
        });
        cuts[place].offsets.push((applied.partition, applied.offset));
    }
    // A vector that was read before anything was applied has an empty cut.
    if cuts.is_empty() {
        cuts.push(ServedCut { share: Share::WHOLE, offsets: Vec::new() });
    }
    Ok(cuts)
}
