//! The promises about the category tree and about reviews of products, one function each; `main` runs each on both databases.

use std::collections::BTreeMap;

use dhow_commerce::*;
use dhow_events::*;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::world::*;

fn node(path: &str, attributes: Value) -> CategoryNode {
    let path = path.parse().expect("a category");
    let attributes = serde_json::from_value(attributes).expect("declarations");
    CategoryNode { path, name: "a name".to_owned(), attributes }
}

/// Kitchens are in the home; what is in a home may have a colour, what is in a kitchen must say what it holds.
fn homes() -> Vec<CategoryNode> {
    let colour = json!([{ "key": "colour", "kind": "one_of", "values": ["red", "blue"] }]);
    let kitchen = json!([
        { "key": "capacity", "kind": "number", "unit": "l", "required": true },
        { "key": "dishwasher", "kind": "yes_no" },
        { "key": "care", "kind": "text" },
    ]);
    vec![node("home/kitchen", kitchen), node("home", colour), node("toys", json!([]))]
}

fn thing(category: &str, attributes: Value) -> ProductInput {
    let attributes: BTreeMap<String, Value> = serde_json::from_value(attributes).expect("an object");
    ProductInput { category: category.parse().expect("a category"), attributes, ..input(1, 500) }
}

fn pointers(answer: Result<Answered<Product>, CommerceError>) -> Vec<String> {
    let Err(CommerceError::Invalid(problems)) = answer else { panic!("it was not refused: {answer:?}") };
    problems.into_iter().map(|problem| problem.pointer).collect()
}

pub async fn products_fit_into_the_category_tree_with_the_attributes_that_it_declares(world: World) {
    let shop = &world.shop;
    let create = async |input: ProductInput| shop.create_product(tenant(), &input, None).await;
    assert_eq!(pointers(create(thing("home/kitchen", json!({ "colour": "red" }))).await), ["/attributes/colour"]);
    let tree = shop.put_categories(tenant(), homes(), ExpectedVersion::Absent).await.expect("it is written");
    assert_eq!(tree.version, 1);
    assert_eq!(tree.categories[0].path.as_str(), "home", "sorted by path");
    let same = shop.put_categories(tenant(), homes(), ExpectedVersion::Exactly(1)).await.expect("nothing changes");
    assert_eq!((same, shop.storage().categories(tenant()).await.expect("it is read")), (tree.clone(), Some(tree)));

    let whole = json!({ "colour": "red", "capacity": 1.5, "dishwasher": true, "care": "by hand" });
    let listed = create(thing("home/kitchen", whole)).await.expect("it has all").value;
    let read = shop.storage().product(tenant(), listed.id).await.expect("it is read");
    assert_eq!(read, Some(listed.clone()));
    create(thing("home", json!({}))).await.expect("a colour is not needed");
    for (category, attributes, wrong) in [
        ("home/garden", json!({}), vec!["/category"]),
        ("home/kitchen", json!({}), vec!["/attributes/capacity"]),
        ("home/kitchen", json!({ "capacity": "1.5" }), vec!["/attributes/capacity"]),
        ("home/kitchen", json!({ "capacity": 1, "colour": "green" }), vec!["/attributes/colour"]),
        (
            "home/kitchen",
            json!({ "capacity": 1, "dishwasher": 1, "care": "" }),
            vec!["/attributes/care", "/attributes/dishwasher"],
        ),
        ("home", json!({ "capacity": 1 }), vec!["/attributes/capacity"]),
        ("toys", json!({ "colour": "red" }), vec!["/attributes/colour"]),
        ("home", json!({ "a/b~": [] }), vec!["/attributes/a~1b~0"]),
    ] {
        assert_eq!(pointers(create(thing(category, attributes.clone())).await), wrong, "{category} {attributes}");
    }
    let file = "seller,reference,title,category,price_amount,price_currency,region,weight_grams,attributes\n";
    let row = format!("{},a,Cup,home/kitchen,1,USD,GB,1,\"{{\"\"capacity\"\":false}}\"\n", SellerId::from_u128(1));
    let refused = shop.import_product_file(tenant(), format!("{file}{row}").as_bytes(), false, None).await;
    let Err(CommerceError::Invalid(problems)) = refused else { panic!("{refused:?}") };
    assert_eq!(problems[0].pointer, "/2/attributes/capacity");

    let without = vec![node("home", json!([])), node("toys", json!([]))];
    let refused = shop.put_categories(tenant(), without, ExpectedVersion::Exactly(1)).await;
    assert!(
        matches!(&refused, Err(CommerceError::CategoryInUse(words)) if words.contains("home/kitchen")),
        "{refused:?}"
    );
    let stale = shop.put_categories(tenant(), homes(), ExpectedVersion::Exactly(7)).await;
    assert!(matches!(stale, Err(CommerceError::StaleVersion { .. })), "{stale:?}");
}

pub async fn a_tree_that_is_wrong_is_refused_where_it_is_wrong(world: World) {
    let twice = json!([{ "key": "colour", "kind": "text" }]);
    let strange = json!([
        { "key": "Größe", "kind": "number" },
        { "key": "size", "kind": "one_of" },
        { "key": "name", "kind": "text", "unit": "l", "values": ["a"] },
    ]);
    for (categories, wrong) in [
        (vec![node("home/kitchen", json!([]))], vec!["/categories/0/path"]),
        (vec![node("home", json!([])), node("home", json!([]))], vec!["/categories/1/path"]),
        (vec![node("home", twice.clone()), node("home/a", twice)], vec!["/categories/1/attributes/0/key"]),
        (
            vec![node("home", strange)],
            vec![
                "/categories/0/attributes/0/key",
                "/categories/0/attributes/1/values",
                "/categories/0/attributes/2/values",
                "/categories/0/attributes/2/unit",
            ],
        ),
        (vec![CategoryNode { name: " ".to_owned(), ..node("home", json!([])) }], vec!["/categories/0/name"]),
        ((0..=CATEGORIES_MAX).map(|number| node(&format!("c{number}"), json!([]))).collect(), vec!["/categories"]),
    ] {
        let refused = world.shop.put_categories(tenant(), categories, ExpectedVersion::Any).await;
        let Err(CommerceError::Invalid(problems)) = refused else { panic!("{refused:?}") };
        assert_eq!(problems.iter().map(|problem| problem.pointer.as_str()).collect::<Vec<_>>(), wrong);
    }
    assert_eq!(world.shop.storage().categories(tenant()).await.expect("it is read"), None);
}

pub async fn no_product_ends_in_a_category_that_goes_at_the_same_time(world: World) {
    let shop = world.shop.clone();
    let extra = || [homes(), vec![node("attic", json!([]))]].concat();
    for _ in 0..8 {
        shop.put_categories(tenant(), extra(), ExpectedVersion::Any).await.expect("there is an attic");
        let listing = (0..4).map(|_| {
            let shop = shop.clone();
            tokio::spawn(async move { shop.create_product(tenant(), &thing("attic", json!({})), None).await.is_ok() })
        });
        let listing: Vec<_> = listing.collect();
        let going = shop.put_categories(tenant(), homes(), ExpectedVersion::Any).await;
        let listed = join_all(listing).await.into_iter().filter(|listed| *listed.as_ref().expect("it ends")).count();
        match going {
            Ok(_) => assert_eq!(listed, 0, "the attic went before"),
            Err(CommerceError::CategoryInUse(_)) => assert!(listed > 0),
            Err(error) => panic!("{error}"),
        }
        if listed > 0 {
            return;
        }
    }
}

pub async fn a_product_waits_for_its_review_and_again_when_its_words_change(world: World) {
    let shop = world.reviewing_process().await;
    let told = async || world.facts().await;
    let before = told().await.len();
    let kettle = ProductInput { title: "Kettle".to_owned(), ..input(1, 500) };
    let made = shop.create_product(tenant(), &kettle, None).await.expect("it is taken in").value;
    assert_eq!((made.state, told().await.len()), (ProductState::InReview, before), "nobody is told of it yet");
    shop.set_stock(tenant(), made.id, 5, None).await.expect("it is counted");
    let refused = shop.submit_checkout(tenant(), &cart(&[(made.id, 1)]), None).await;
    assert!(refused.is_err(), "it cannot be bought: {refused:?}");
    let review = async |version: i64, to: ProductState, note: &str| {
        shop.review_product(tenant(), made.id, ExpectedVersion::Exactly(version), to, ("ann", note)).await
    };
    assert!(matches!(review(9, ProductState::Listed, "").await, Err(CommerceError::StaleVersion { .. })));
    assert!(matches!(review(1, ProductState::Rejected, " ").await, Err(CommerceError::Invalid(_))), "without a word");
    let rejected = review(1, ProductState::Rejected, "the picture is missing").await.expect("it is rejected");
    assert_eq!(rejected.review.as_ref().map(|review| review.note.as_str()), Some("the picture is missing"));
    let again = ProductInput {
        media: vec![MediaReference {
            kind: MediaKind::Image,
            url: "https://cdn.example/kettle.jpg".to_owned(),
            alt: "a kettle".to_owned(),
        }],
        ..kettle
    };
    let save =
        async |input: &ProductInput| shop.save_product(tenant(), made.id, input, ExpectedVersion::Any, None).await;
    assert_eq!(save(&again).await.expect("it is submitted again").value.state, ProductState::InReview);
    let waiting = PageRequest::new(10, None, ProductId::KIND.prefix).expect("a page");
    let waiting = shop.storage().products(tenant(), Some(ProductState::InReview), &waiting).await.expect("a page");
    assert_eq!(waiting.items.iter().map(|product| product.id).collect::<Vec<_>>(), [made.id]);
    let listed = review(3, ProductState::Listed, "").await.expect("it is listed");
    assert_eq!((listed.version, review(4, ProductState::Listed, "").await.expect("it is so already").version), (4, 4));
    let read = shop.storage().product(tenant(), made.id).await.expect("it is read");
    assert_eq!(read, Some(listed));

    let dearer = ProductInput { price: Money::usd(900), ..again.clone() };
    assert_eq!(save(&dearer).await.expect("it costs more").value.state, ProductState::Listed);
    let renamed = ProductInput { title: "Kettle of gold".to_owned(), ..dearer };
    assert_eq!(save(&renamed).await.expect("it is renamed").value.state, ProductState::InReview);
    assert_eq!(save(&renamed).await.expect("nothing changes").value.version, 6);
    review(6, ProductState::Listed, "").await.expect("it is listed");
    review(7, ProductState::Rejected, "it is of brass").await.expect("it is taken off offer");
    let facts = [
        "stock_changed",
        "product_listed",
        "product_price_changed",
        "product_delisted",
        "product_listed",
        "product_delisted",
    ];
    assert_eq!(told().await[before..], facts);
    shop.delist_product(tenant(), made.id, ExpectedVersion::Any).await.expect("its seller gives up");
    assert!(matches!(review(9, ProductState::Listed, "").await, Err(CommerceError::Transition(_))));
    assert_eq!(told().await.len(), before + facts.len());
}

pub async fn variants_of_a_group_differ_in_the_same_options_however_many_are_made_at_once(world: World) {
    let shop = world.shop.clone();
    let shirt = |seller: u128, group: &str, options: Value| ProductInput {
        variant: Some(Variant { group: group.to_owned(), options: serde_json::from_value(options).expect("options") }),
        ..input(seller, 500)
    };
    let create = async |input: ProductInput| shop.create_product(tenant(), &input, None).await;
    let red = create(shirt(1, "shirt", json!({ "size": "M", "colour": "red" }))).await.expect("the first one").value;
    for (options, wrong) in [
        (json!({ "size": "M", "colour": "red" }), "/variant/options"),
        (json!({ "size": "M" }), "/variant/options"),
        (json!({}), "/variant/options"),
        (json!({ "size": "", "colour": "red" }), "/variant/options/size"),
    ] {
        assert_eq!(pointers(create(shirt(1, "shirt", options.clone())).await), [wrong], "{options}");
    }
    for (seller, group) in [(2, "shirt"), (1, "trousers")] {
        create(shirt(seller, group, json!({ "size": "M", "colour": "red" }))).await.expect("another group");
    }
    let making = (0..8).map(|number| {
        let (shop, input) =
            (shop.clone(), shirt(1, "shirt", json!({ "size": (number % 4).to_string(), "colour": "blue" })));
        tokio::spawn(async move { shop.create_product(tenant(), &input, None).await.is_ok() })
    });
    let made =
        join_all(making.collect::<Vec<_>>()).await.into_iter().filter(|made| *made.as_ref().expect("it ends")).count();
    assert_eq!(made, 4, "one of each size");
    let variants = shop.variants(tenant(), red.id).await.expect("they are read");
    let sizes: Vec<&str> =
        variants.iter().map(|one| one.input.variant.as_ref().expect("one").options["size"].as_str()).collect();
    assert_eq!(sizes, ["0", "1", "2", "3", "M"]);
    let alone = create(input(1, 700)).await.expect("it is none").value;
    assert_eq!(shop.variants(tenant(), alone.id).await.expect("it is read"), [alone]);
    let moved = ProductInput { variant: None, ..red.input.clone() };
    let moved = shop.save_product(tenant(), red.id, &moved, ExpectedVersion::Any, None).await.expect("it leaves").value;
    assert_eq!(moved.input.variant, None);

    let file = "seller,reference,title,category,price_amount,price_currency,region,weight_grams,variant\n";
    let row = |size: &str| {
        let variant = format!("\"{{\"\"group\"\":\"\"hat\"\",\"\"options\"\":{{\"\"size\"\":\"\"{size}\"\"}}}}\"");
        format!("{},a,Hat,home/kitchen,1,USD,GB,1,{variant}\n", SellerId::from_u128(1))
    };
    let import = async |rows: [&str; 2]| {
        let text = format!("{file}{}{}", row(rows[0]), row(rows[1]));
        shop.import_product_file(tenant(), text.as_bytes(), false, None).await
    };
    let Err(CommerceError::Invalid(problems)) = import(["S", "S"]).await else { panic!("they are alike") };
    assert_eq!(problems[0].pointer, "/3/variant/options");
    assert_eq!(import(["S", "L"]).await.expect("they differ").value.created, 2);
}
