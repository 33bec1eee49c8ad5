//! Behaviour of the personal models against slow oracles and planted tastes; the public data sets where they are present.

mod bad_input;
mod factors;
mod items;
mod planted;
mod protocol;
mod public_data;
mod top;
