//! Behaviour of the fraud crate as its users rely on it; private pieces are tested beside their code.

mod boosting;
mod credit_cards;
mod derived;
mod judging;
mod kinds;
mod training;
mod trust;
mod world;
