//! Reads a log's partitions as one sequence, always in the same order and with bounded memory; it waits for nothing new.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use dhow_events::Timestamp;

use crate::{Log, LogError, Offsets, Record};

/// The records of one partition that are read at once: few at first, because many replays end after a few records.
const READ_RECORDS_FIRST: usize = 16;
const READ_RECORDS_MAX: usize = 1024;

/// The records of a log between two [`Offsets`], ordered by known time, then partition, then offset.
///
/// The order depends on the records alone, so that what is computed from a replay can be computed again. At most
/// 1,024 records of each partition are held.
pub struct Replay<'a> {
    log: &'a dyn Log,
    partitions: Vec<Lane>,
    /// The known time of the first waiting record of each partition, except the current one's.
    heads: BinaryHeap<Reverse<(Timestamp, u32)>>,
    current: Option<u32>,
    has_failed: bool,
}

/// What is yet to come of a partition.
struct Lane {
    /// Records read and not yet given, the next one last.
    waiting: Vec<Record>,
    next_offset: u64,
    end: u64,
    /// How many are read next; twice as many each time.
    read_records: usize,
}

impl<'a> Replay<'a> {
    /// Reads `log` from `from`, and ends before `to`.
    ///
    /// # Errors
    /// Offsets for another number of partitions or beyond the log's ends, or the failure of the first read.
    pub fn new(log: &'a dyn Log, from: &Offsets, to: &Offsets) -> Result<Self, LogError> {
        let count = log.partition_count();
        from.check_partition_count(count)?;
        to.check_partition_count(count)?;
        let lane =
            |(&next_offset, &end)| Lane { waiting: Vec::new(), next_offset, end, read_records: READ_RECORDS_FIRST };
        let partitions = from.0.iter().zip(&to.0).map(lane).collect();
        let mut replay = Self { log, partitions, heads: BinaryHeap::new(), current: None, has_failed: false };
        for partition in 0..count {
            let end = log.end(partition)?;
            for from in [from, to].map(|offsets| offsets.0[partition as usize]) {
                if from > end {
                    return Err(LogError::BeyondEnd { partition, from, end });
                }
            }
            if let Some(head) = replay.head(partition)? {
                replay.heads.push(Reverse(head));
            }
        }
        Ok(replay)
    }

    /// The first waiting record's place in the order, or nothing at the partition's end.
    fn head(&mut self, partition: u32) -> Result<Option<(Timestamp, u32)>, LogError> {
        let lane = &mut self.partitions[partition as usize];
        if lane.waiting.is_empty() && lane.next_offset < lane.end {
            let wanted = (lane.end - lane.next_offset).min(lane.read_records as u64) as usize;
            lane.read_records = READ_RECORDS_MAX.min(lane.read_records * 2);
            self.log.read(partition, lane.next_offset, wanted, &mut lane.waiting)?;
            let read = lane.waiting.len();
            if read == 0 {
                // Asked for records before its end, a log must give some; going on would leave records out.
                let problem =
                    format!("the log gives no record of partition {partition} from offset {}", lane.next_offset);
                return Err(LogError::Service(problem));
            }
            lane.next_offset = lane.waiting.last().map_or(lane.next_offset, |last| last.offset + 1);
            lane.waiting.reverse();
        }
        Ok(lane.waiting.last().map(|record| (record.known_time, partition)))
    }

    fn advance(&mut self) -> Result<Option<Record>, LogError> {
        // Runs of one partition are common, so the current one stays out of the heap until another is due.
        let head = match self.current {
            Some(partition) => self.head(partition)?,
            None => None,
        };
        let partition = match (head, self.heads.peek().copied()) {
            (Some(own), other) if other.is_none_or(|Reverse(other)| own < other) => own.1,
            (None, None) => return Ok(None),
            (own, _) => {
                let next = self.heads.pop().map(|Reverse(head)| head.1);
                self.heads.extend(own.map(Reverse));
                let Some(next) = next else { return Ok(None) };
                next
            }
        };
        self.current = Some(partition);
        Ok(self.partitions[partition as usize].waiting.pop())
    }
}

impl Iterator for Replay<'_> {
    type Item = Result<Record, LogError>;

    /// The next record; after an error, the end.
    fn next(&mut self) -> Option<Self::Item> {
        if self.has_failed {
            return None;
        }
        let next = self.advance().transpose();
        self.has_failed = matches!(next, Some(Err(_)));
        next
    }
}
