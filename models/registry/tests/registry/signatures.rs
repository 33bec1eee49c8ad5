//! Where keys are trusted, nothing is loaded that none of them signed as it stands; where none is, nothing changes.

use std::collections::BTreeSet;
use std::path::Path;

use dhow_events::ModelId;
use dhow_registry::{Alias, KeyError, ModelKeys, PublicKey, Registry, RegistryError, SigningKey, Task};
use proptest::prelude::*;

use crate::store::draft;
use crate::{second, tenant};

fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number; 32]).unwrap()
}

fn public(number: u8) -> PublicKey {
    key(number).public_key()
}

/// The registry on `folder` as one who signs with one key, if any, and trusts others sees it.
fn registry(folder: &Path, signs: Option<u8>, trusts: &[u8]) -> Registry {
    let trusted = trusts.iter().map(|number| public(*number)).collect();
    Registry::open_with(folder, ModelKeys::new(signs.map(key), trusted).unwrap()).unwrap()
}

fn register(registry: &Registry, name: &str) -> ModelId {
    registry.register(draft("a", Task::Fraud, name), name.as_bytes()).unwrap().model_id
}

fn refusal(registry: &Registry, model_id: ModelId) -> String {
    let error = registry.load(model_id).unwrap_err();
    assert!(matches!(error, RegistryError::NotTrusted { .. }), "{error}");
    error.to_string()
}

#[test]
fn a_refusal_tells_who_signed_instead_and_neither_loads_nor_promotes() {
    let folder = tempfile::tempdir().unwrap();
    let unsigned = register(&registry(folder.path(), None, &[]), "unsigned");
    let foreign = register(&registry(folder.path(), Some(2), &[]), "foreign");
    let strict = registry(folder.path(), None, &[1]);
    assert!(refusal(&strict, unsigned).contains("nobody signed it"));
    assert!(refusal(&strict, foreign).contains(&format!("it is signed by {}", public(2))));
    let at = second(20);
    let promoted = strict.promote(&tenant("a"), Task::Fraud, Alias::Champion, foreign, at, "better");
    assert!(matches!(promoted, Err(RegistryError::NotTrusted { .. })));
    assert!(strict.ledger().unwrap().promotions().is_empty());

    assert_eq!(registry(folder.path(), Some(1), &[]).sign(foreign).unwrap(), public(1));
    strict.promote(&tenant("a"), Task::Fraud, Alias::Champion, foreign, at, "better").unwrap();
    assert_eq!(strict.load(foreign).unwrap().1, b"foreign");
    assert!(matches!(strict.sign(unsigned), Err(RegistryError::NoSigningKey)));
    for anyone in [registry(folder.path(), None, &[]), registry(folder.path(), None, &[2, 1])] {
        assert!(anyone.load(foreign).is_ok());
    }
}

#[test]
fn keys_whose_models_could_not_be_loaded_here_are_refused() {
    assert_eq!(ModelKeys::new(Some(key(1)), vec![public(2)]).unwrap_err(), KeyError::Untrusted(public(1)));
    assert_eq!(ModelKeys::new(None, vec![public(2); 101]).unwrap_err(), KeyError::TooMany(101));
}

/// Where a changed byte is put.
#[derive(Debug, Clone, Copy)]
enum Place {
    Artifact,
    Card,
    Signature,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_changed_byte_anywhere_in_artifact_card_or_signature_refuses_to_load(
        place in prop::sample::select(vec![Place::Artifact, Place::Card, Place::Signature]),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u32,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let strict = registry(folder.path(), Some(1), &[1]);
        let model_id = register(&strict, "trees");
        let card = strict.load(model_id).unwrap().0;
        let path = folder.path().join(match place {
            Place::Artifact => format!("artifacts/{}", card.artifact_hash),
            Place::Card => format!("cards/{model_id}.json"),
            Place::Signature => format!("signatures/{model_id}.{}", public(1)),
        });
        let mut bytes = std::fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        std::fs::write(&path, bytes).unwrap();
        prop_assert!(strict.load(model_id).is_err());
    }

    #[test]
    fn a_model_loads_exactly_where_one_of_its_signers_is_trusted_or_nobody_must_be(
        signers in prop::collection::vec(1..5_u8, 0..5),
        trusts in prop::collection::btree_set(1..5_u8, 0..4),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let model_id = register(&registry(folder.path(), None, &[]), "trees");
        for signer in &signers {
            registry(folder.path(), Some(*signer), &[]).sign(model_id).unwrap();
        }
        let expected = trusts.is_empty() || signers.iter().any(|signer| trusts.contains(signer));
        let trusts: Vec<u8> = BTreeSet::into_iter(trusts).collect();
        prop_assert_eq!(registry(folder.path(), None, &trusts).load(model_id).is_ok(), expected);
    }
}

/// Whoever can write the folder can seal a card of their own: the checksum is no secret, the signature is.
#[test]
fn a_card_and_an_artifact_from_elsewhere_under_a_signed_models_id_are_refused() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let strict = registry(ours.path(), Some(1), &[1]);
    let signed = register(&strict, "trees");
    let forged = register(&registry(theirs.path(), Some(2), &[]), "forged");
    let hash = registry(theirs.path(), None, &[]).card(forged).unwrap().artifact_hash;
    for inside in [format!("cards/{forged}.json"), format!("artifacts/{hash}")] {
        std::fs::copy(theirs.path().join(&inside), ours.path().join(&inside)).unwrap();
    }
    let signature = |model: ModelId| ours.path().join(format!("signatures/{model}.{}", public(1)));
    std::fs::copy(signature(signed), signature(forged)).unwrap();
    assert!(refusal(&strict, forged).contains("does not fit"));
    assert!(strict.load(signed).is_ok());
}
