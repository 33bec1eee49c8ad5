//! Price lists from the product's row to the order's line; how a price is chosen is tried in commerce on random lists.

use dhow_commerce::{
    CartLine, CheckoutRequest, CheckoutState, CommerceError, ExpectedVersion, PriceBreak, PriceList, ProductInput,
    Storage,
};
use dhow_events::{Clock, Currency, DAY_MICROS, Money, Region, Timestamp};

use crate::world::{CUP, World, cart, input, tenant};

fn list(region: Option<&str>, from: Option<Timestamp>, until: Option<Timestamp>, breaks: &[(i64, Money)]) -> PriceList {
    let region = region.map(|text| Region::new(text).expect("a valid region"));
    let breaks = breaks.iter().map(|&(quantity, unit_price)| PriceBreak { quantity, unit_price }).collect();
    PriceList { region, valid_from: from, valid_until: until, breaks }
}

fn refused<T: std::fmt::Debug>(answer: Result<T, CommerceError>) -> (String, String) {
    let Err(CommerceError::Invalid(problems)) = answer else { panic!("{answer:?}") };
    (problems[0].pointer.clone(), problems[0].message.clone())
}

/// Carts go to `NG-LA`. From tomorrow units are dearer in Lagos; in the country euros are taken, from five units on.
fn priced(world: &World) -> ProductInput {
    let tomorrow = Some(world.clock.now() + DAY_MICROS);
    let euros = |minor| Money::new(minor, Currency::EUR);
    let prices = vec![
        list(Some("NG"), None, None, &[(5, euros(300)), (8, euros(250))]),
        list(Some("NG-LA"), None, tomorrow, &[(1, Money::usd(480)), (3, Money::usd(450))]),
        list(Some("NG-LA"), tomorrow, None, &[(2, Money::usd(600))]),
    ];
    ProductInput { prices, ..input(1, 500) }
}

pub async fn a_cart_is_priced_by_region_currency_quantity_and_date_and_its_order_keeps_the_price(world: World) {
    let asked = priced(&world);
    let save =
        async |input: &ProductInput| world.shop.save_product(tenant(), CUP, input, ExpectedVersion::Any, None).await;
    let saved = save(&asked).await.expect("the lists are kept").value;
    let again = save(&asked).await.expect("nothing changes").value;
    assert_eq!((saved.version, &again.input), (again.version, &asked));
    let stored = world.shop.storage().product(tenant(), CUP).await.expect("it is read");
    assert_eq!(stored, Some(saved), "what is stored is what was answered");

    let total = async |units: &[i64], region: Option<&str>, currency| {
        let lines: Vec<_> = units.iter().map(|&quantity| CartLine { product: CUP, quantity }).collect();
        let region = region.map(|text| Region::new(text).expect("a valid region"));
        world.shop.quote(tenant(), &lines, region, currency).await.map(|quote| quote.total)
    };
    let euros = Some(Currency::EUR);
    assert_eq!(total(&[2], None, None).await.expect("its own price"), Money::usd(1_000));
    assert_eq!(total(&[2], Some("GB"), None).await.expect("its own price"), Money::usd(1_000));
    assert_eq!(total(&[2], Some("NG-LA"), None).await.expect("the list's"), Money::usd(960));
    assert_eq!(total(&[2, 1], Some("NG-LA"), None).await.expect("three over both lines"), Money::usd(1_350));
    assert_eq!(total(&[8], Some("NG-LA"), euros).await.expect("the country's"), Money::new(2_000, Currency::EUR));
    let (place, message) = refused(total(&[4], Some("NG-LA"), euros).await);
    assert_eq!(place, "/lines/0/quantity");
    assert!(message.contains("at least 5"), "{message}");
    assert_eq!(refused(total(&[9], Some("GB"), euros).await).0, "/lines/0/product");

    let order = world.shop.submit_checkout(tenant(), &cart(&[(CUP, 3)]), None).await.expect("it is answered").value;
    assert_eq!((order.state, order.total), (CheckoutState::Completed, Money::usd(1_350)));
    let in_euros = CheckoutRequest { currency: euros, ..cart(&[(CUP, 5)]) };
    let in_euros = world.shop.submit_checkout(tenant(), &in_euros, None).await.expect("it is answered").value;
    assert_eq!(in_euros.orders[0].lines[0].unit_price, Money::new(300, Currency::EUR));

    world.clock.advance(DAY_MICROS);
    assert_eq!(total(&[2], Some("NG-LA"), None).await.expect("tomorrow's list"), Money::usd(1_200));
    let below = world.shop.submit_checkout(tenant(), &cart(&[(CUP, 1)]), None).await;
    assert_eq!(refused(below).0, "/lines/0/quantity");
    save(&input(1, 700)).await.expect("the lists are gone");
    assert_eq!(total(&[2], Some("NG-LA"), None).await.expect("its own price"), Money::usd(1_400));
    for bought in [order, in_euros] {
        let stored = world.shop.storage().checkout(tenant(), bought.id).await.expect("it is read");
        assert_eq!(stored, Some(bought), "the price of what was bought stays");
    }

    let naira = Money::new(1, Currency::new("NGN").expect("a currency"));
    let unknown = ProductInput { prices: vec![list(None, None, None, &[(1, naira)])], ..input(1, 700) };
    assert_eq!(refused(save(&unknown).await).0, "/prices/0/breaks/0/unit_price/currency");
}
