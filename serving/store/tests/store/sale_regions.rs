//! Where products may be sold, from the product's row to the checkout and the event; the rule itself is tried with the events.

use dhow_commerce::{CartLine, CheckoutState, CommerceError, ExpectedVersion, ProductInput, Storage};
use dhow_events::{Fact, Region};

use crate::world::{CUP, World, cart, input, tenant};

/// Carts go to `NG-LA`.
pub async fn a_product_is_bought_where_its_rule_lets_it_be_sold_and_its_event_tells_the_rule(world: World) {
    let sold_in = |text: &str| ProductInput { sale_regions: text.parse().expect("valid places"), ..input(1, 500) };
    let save = async |text: &str| {
        let saved = world.shop.save_product(tenant(), CUP, &sold_in(text), ExpectedVersion::Any, None).await;
        saved.expect("the product is kept").value
    };
    let saved = save("002,!NG-LA").await;
    let stored = world.shop.storage().product(tenant(), CUP).await.expect("it is read");
    assert_eq!(stored.as_ref(), Some(&saved), "what is stored is what was answered");
    assert_eq!(save("!ng-la, 002").await.version, saved.version, "the same rule in other words changes nothing");

    let place = |answer: Result<_, CommerceError>| match answer {
        Err(CommerceError::Invalid(problems)) => problems[0].pointer.clone(),
        Ok(()) => "sold".to_owned(),
        Err(other) => other.to_string(),
    };
    let quoted = async |region: Option<&str>| {
        let region = region.map(|text| Region::new(text).expect("a valid region"));
        let quote = world.shop.quote(tenant(), &[CartLine { product: CUP, quantity: 1 }], region, None).await;
        place(quote.map(drop))
    };
    assert_eq!(quoted(None).await, "sold", "nobody said where it goes");
    for (region, expected) in [("NG-KN", "sold"), ("NG-LA", "/lines/0/product"), ("GB", "/lines/0/product")] {
        assert_eq!(quoted(Some(region)).await, expected, "{region}");
    }
    let refused = world.shop.submit_checkout(tenant(), &cart(&[(CUP, 1)]), None).await;
    assert_eq!(place(refused.map(drop)), "/lines/0/product");

    save("").await;
    let bought = world.shop.submit_checkout(tenant(), &cart(&[(CUP, 1)]), None).await.expect("it is answered").value;
    assert_eq!(bought.state, CheckoutState::Completed);
    let told: Vec<Option<String>> = (world.outbox().await.iter())
        .filter_map(|record| match &record.event.fact {
            Fact::ProductListed(listed) if listed.product == CUP => {
                Some(listed.sale_regions.as_ref().map(|regions| regions.to_string()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(told[told.len() - 2..], [Some("!NG-LA,002".to_owned()), None]);
}
