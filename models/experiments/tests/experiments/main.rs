//! What users of experiments rely on: shares and stability of arms, honest error rates while peeking, estimates that agree with truth and peer.

mod assignment;
mod bad_input;
mod bandits;
mod draws;
mod off_policy;
mod sequential;
