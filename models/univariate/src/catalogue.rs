//! The methods by their names, as commands and configurations call them; it computes nothing.

use crate::ces::Ces;
use crate::combination::MedianOfThree;
use crate::ets::Ets;
use crate::intermittent::{CrostonSba, Tsb};
use crate::mstl::Mstl;
use crate::naive::{Mean, Naive2, SeasonalNaive};
use crate::rare::{Adida, CrostonClassic, CrostonOptimised, Imapa};
use crate::reverting::Reverting;
use crate::series::Method;
use crate::theta::Theta;
use crate::theta_models::{AutoTheta, ThetaModel};
use crate::weighted::Learned;

/// Every method that a name can ask for, simplest first.
pub static METHODS: [&dyn Method; 21] = [
    &Mean,
    &SeasonalNaive,
    &Naive2,
    &CrostonClassic,
    &CrostonSba,
    &CrostonOptimised,
    &Tsb,
    &Adida,
    &Imapa,
    &Reverting,
    &Theta,
    &ThetaModel::Standard,
    &ThetaModel::Optimised,
    &ThetaModel::DynamicStandard,
    &ThetaModel::DynamicOptimised,
    &AutoTheta,
    &Ces,
    &Ets { with_season: true },
    &Mstl,
    &MedianOfThree,
    &Learned,
];

/// The method with this name, such as `ets`; none when there is no such one.
pub fn method_named(name: &str) -> Option<&'static dyn Method> {
    METHODS.into_iter().find(|method| method.name() == name)
}
