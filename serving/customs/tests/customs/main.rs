//! Customs against worked sums: every band's edge, every part's reason, what the rules ask for; no carrier and no route.

use std::collections::BTreeSet;

use dhow_customs::{
    AssessmentError, Borders, ComplianceRules, Country, CustomsQuote, Declaration, DeclarationError, DeclarationState,
    DeclarationStep, Document, Goods, HsCode, HsTable, PartKind, QuoteError, RuleKind, TariffHead, TariffTable,
    TariffTables, VALUE_MINOR_MAX,
};
use jiff::civil::Date;
use proptest::prelude::*;

const US: &str = include_str!("us_2025.csv");
const INVENTED: &str = include_str!("invented.csv");
const RULES: &str = include_str!("rules.csv");

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn country(code: &str) -> Country {
    code.parse().unwrap()
}

fn table(destination: &str, text: &str) -> TariffTable {
    let (from, until) = (day("2025-01-01"), day("2025-05-13"));
    let currency = if destination == "US" { "USD" } else { "EUR" }.parse().unwrap();
    let head =
        TariffHead { version: format!("{destination}-1"), destination: country(destination), currency, from, until };
    TariffTable::from_csv(head, text).unwrap()
}

fn goods(hs: &str, origin: &str, value_minor: i64, (weight_grams, items): (i64, i64)) -> Goods {
    Goods { hs: hs.parse().unwrap(), origin: country(origin), value_minor, weight_grams, items }
}

/// The parts that cost something, and those that were lifted, as `id=amount` and `id<lifted by`.
fn parts(quote: &CustomsQuote) -> String {
    let shown = quote.lines.iter().flat_map(|line| &line.parts).map(|part| match &part.lifted_by {
        Some(by) => format!("{}<{by}", part.id),
        None => format!("{}={}", part.id, part.amount_minor),
    });
    shown.collect::<Vec<_>>().join(" ")
}

#[test]
fn codes_have_six_to_ten_digits_of_a_chapter_and_heading_that_hold_goods() {
    for (text, digits) in [("851713", "851713"), ("8517.13.00", "85171300"), ("0101.21.00.10", "0101210010")] {
        let code: HsCode = text.parse().unwrap();
        assert_eq!(code.digits(), digits);
        assert_eq!((code.chapter(), code.heading(), code.subheading()), (&digits[..2], &digits[..4], &digits[..6]));
    }
    let wrong = ["", "85171", "85171300001", "8517..13", ".851713", "851713.", "8517-13", "٨٥١٧١٣"];
    let no_goods = ["770110", "990301", "980100", "000110", "850013"];
    for text in wrong.iter().chain(&no_goods) {
        assert!(text.parse::<HsCode>().is_err(), "{text}");
    }
}

#[test]
fn the_published_table_of_codes_is_read_and_knows_what_does_not_exist() {
    let folder = std::path::PathBuf::from(std::env::var("DHOW_DATA_DIR").unwrap_or_default());
    let path = folder.join("reference/harmonized_system/data/harmonized-system.csv");
    if !path.exists() {
        println!("SKIPPED: the_published_table_of_codes_is_read_and_knows_what_does_not_exist: data folder absent");
        return;
    }
    let text = std::fs::read_to_string(path).unwrap();
    let table = HsTable::from_csv(&text).unwrap();
    assert!(table.len() > 5_000, "{}", table.len());
    assert_eq!(table.description(&"0101.21.00".parse().unwrap()), Some("Horses; live, pure-bred breeding animals"));
    assert_eq!(table.description(&"010199".parse().unwrap()), None);
}

#[test]
fn the_duties_of_2025_stack_lift_and_end_on_their_days() {
    let us = table("US", US);
    let shirt = |origin| goods("6109.10.00", origin, 100_000, (5_000, 24));
    let phone = |origin| goods("8517.13.00", origin, 100_000, (200, 1));
    let steel = |origin| goods("7208.36.00", origin, 100_000, (900_000, 1));
    // Worked by hand from the schedule: value 1,000.00 in every row.
    let cases = [
        ("2025-02-03", shirt("CN"), "6109.10.00=16500 9903.88.15=7500"),
        ("2025-02-04", shirt("CN"), "6109.10.00=16500 9903.88.15=7500 9903.01.20=10000"),
        ("2025-03-03", shirt("CN"), "6109.10.00=16500 9903.88.15=7500 9903.01.20=10000"),
        ("2025-03-04", shirt("CN"), "6109.10.00=16500 9903.88.15=7500 9903.01.24=20000"),
        ("2025-04-04", shirt("VN"), "6109.10.00=16500"),
        ("2025-04-05", shirt("VN"), "6109.10.00=16500 9903.01.25=10000"),
        ("2025-04-05", shirt("CA"), "6109.10.00=16500 9903.01.25<9903.01.26"),
        ("2025-04-08", shirt("CN"), "6109.10.00=16500 9903.88.15=7500 9903.01.24=20000 9903.01.25=10000"),
        (
            "2025-04-09",
            shirt("CN"),
            "6109.10.00=16500 9903.88.15=7500 9903.01.24=20000 9903.01.63=84000 9903.01.25<9903.01.63",
        ),
        (
            "2025-04-10",
            shirt("CN"),
            "6109.10.00=16500 9903.88.15=7500 9903.01.24=20000 9903.01.63=125000 9903.01.25<9903.01.63",
        ),
        ("2025-04-10", shirt("MO"), "6109.10.00=16500 9903.01.63=125000 9903.01.25<9903.01.63"),
        ("2025-04-10", phone("CN"), "8517.13.00=0 9903.01.24=20000 9903.01.63<9903.01.32 9903.01.25<9903.01.32"),
        ("2025-03-11", steel("DE"), "7208.36.00=0"),
        ("2025-03-12", steel("DE"), "7208.36.00=0 9903.81.87=25000"),
        ("2025-04-10", steel("DE"), "7208.36.00=0 9903.81.87=25000 9903.01.25<9903.81.87"),
        (
            "2025-04-10",
            steel("CN"),
            "7208.36.00=0 9903.81.87=25000 9903.01.24=20000 9903.01.63<9903.81.87 9903.01.25<9903.81.87",
        ),
    ];
    for (on, line, expected) in cases {
        let quote = us.quote(std::slice::from_ref(&line), day(on)).unwrap();
        assert_eq!(parts(&quote), expected, "{on} {line:?}");
    }
}

#[test]
fn specific_and_compound_duties_are_rounded_to_the_cent_at_every_half() {
    let us = table("US", US);
    let on = day("2025-01-01");
    // 4.4 cents a kilogram: 1,000 g are 4.4 cents; 1.25 kg are 5.5, a half that goes up; a gram below goes down.
    for (grams, duty) in [(0, 0), (113, 0), (114, 1), (1_000, 4), (1_249, 5), (1_250, 6), (1_022_727, 4_500)] {
        let quote = us.quote(&[goods("0201.10.05", "AU", 900_000, (grams, 1))], on).unwrap();
        assert_eq!((quote.duty_minor, quote.total_minor), (duty, duty), "{grams} g");
    }
    // 90 cents a pair and 37.5 %: of 800.04 it is 300.015, of 800.03 it is 300.01125.
    for (value, pairs, duty) in [(80_004, 100, 39_002), (80_003, 100, 39_001), (80_001, 0, 30_000)] {
        let quote = us.quote(&[goods("6402.91.70", "VN", value, (0, pairs))], on).unwrap();
        assert_eq!(quote.duty_minor, duty, "{value} {pairs}");
    }
}

#[test]
fn the_de_minimis_counts_the_whole_consignment_up_to_the_cent_and_by_origin_and_day() {
    let us = table("US", US);
    let shirt = |origin, value| goods("6109.10.00", origin, value, (0, 0));
    let due = |lines: &[Goods], on| us.quote(lines, day(on)).unwrap().total_minor;
    assert_eq!(due(&[shirt("VN", 80_000)], "2025-05-01"), 0);
    assert_eq!(due(&[shirt("VN", 80_001)], "2025-05-01"), 13_200 + 8_000);
    assert_eq!(due(&[shirt("VN", 40_000), shirt("VN", 40_001)], "2025-05-01"), 2 * (6_600 + 4_000));
    assert_eq!(due(&[shirt("CN", 10_000)], "2025-05-01"), 0);
    assert_eq!(due(&[shirt("CN", 10_000)], "2025-05-02"), 1_650 + 750 + 2_000 + 12_500);
    // Each line by its own origin, at the value of all.
    assert_eq!(due(&[shirt("CN", 10_000), shirt("VN", 10_000)], "2025-05-02"), 16_900);
    let free = us.quote(&[shirt("VN", 80_000)], day("2025-05-01")).unwrap();
    assert_eq!(parts(&free), "6109.10.00<19 USC 1321 9903.01.25<19 USC 1321");
}

#[test]
fn the_narrowest_duty_counts_and_tax_is_taken_of_value_and_duty() {
    let de = table("DE", INVENTED);
    let on = day("2025-01-01");
    let cases = [
        ("610910", "VN", 15_001, "heading=1500 vat=3135"),
        ("610910", "TR", 15_001, "heading=1500 vat=3135"),
        ("611010", "VN", 15_001, "chapter=1800 vat=3192"),
        ("611010", "TR", 15_001, "chapter-tr=0 vat=2850"),
        ("950300", "TR", 15_001, "all=375 vat=2921"),
        ("490110", "TR", 15_001, "all=375 vat-books=1076"),
        ("610910", "VN", 15_000, "heading<small vat=2850"),
        ("490110", "VN", 0, "all<small vat-books=0"),
    ];
    for (hs, origin, value, expected) in cases {
        assert_eq!(parts(&de.quote(&[goods(hs, origin, value, (0, 0))], on).unwrap()), expected, "{hs} {origin}");
    }
}

#[test]
fn nothing_is_free_because_nobody_knows_its_rate() {
    let us = table("US", US);
    let unknown = us.quote(&[goods("6110.10.00", "VN", 1, (0, 0))], day("2025-01-01"));
    assert!(matches!(unknown, Err(QuoteError::NoRate { line: 0, .. })), "{unknown:?}");
    let shirt = goods("6109.10.00", "VN", 1, (0, 0));
    for on in ["2024-12-31", "2025-05-14"] {
        assert!(matches!(us.quote(std::slice::from_ref(&shirt), day(on)), Err(QuoteError::Day { .. })));
    }
    for value in [-1, VALUE_MINOR_MAX + 1] {
        let out_of_bounds = us.quote(&[goods("6109.10.00", "VN", value, (0, 0))], day("2025-01-01"));
        assert!(matches!(out_of_bounds, Err(QuoteError::Amount { what: "value_minor", .. })));
    }
    assert_eq!(us.quote(&[], day("2025-01-01")), Err(QuoteError::Lines(0)));
    // The largest consignment at ten times its value fits.
    let dear = vec![goods("710110", "VN", VALUE_MINOR_MAX, (0, 0)); 500];
    let largest = table("DE", INVENTED).quote(&dear, day("2025-01-01")).unwrap();
    assert_eq!(largest.total_minor, 6_045_000_000_000_000_000);
}

#[test]
fn a_table_that_contradicts_itself_is_refused_with_its_line() {
    let head = "kind,id,hs,origins,from,until,ad_valorem_ppm,specific_minor,per,unit,lifts,limit_minor,reason\n";
    let duty = "duty,a,61,CN|HK,,,0,,,,,,x\n";
    let cases = [
        ("duty,b,61,HK|MO,,,0,,,,,,x\n", "line 3: b and a apply to the same goods"),
        ("duty,b,61,*,,,0,,,,,,x\n", ""),
        ("duty,b,6a,*,,,0,,,,,,x\n", "line 3: hs `6a` is neither * nor the first 2 to 10 digits of a code"),
        ("duty,b,62,*,,,,1,,kg,,,x\n", "line 3: b: specific_minor, per (at least 1) and unit belong together"),
        ("duty,b,62,*,,,,1,0,kg,,,x\n", "line 3: b: specific_minor, per (at least 1) and unit belong together"),
        ("duty,b,62,*,,,10000001,,,,,,x\n", "line 3: b: its rate is above 1000 %"),
        ("exempt,b,62,*,,,,,,,c,,x\n", "line 0: b lifts c, which is no extra duty"),
        ("duty,b,62,*,2025-02-02,2025-02-01,0,,,,,,x\n", "line 3: begins on 2025-02-02, after its last day 2025-02-01"),
        ("duty,b,62,cn,,,0,,,,,,x\n", "line 3: `cn` is not two capital letters such as CN"),
    ];
    for (row, expected) in cases {
        let currency = "USD".parse().unwrap();
        let (from, until) = (day("2025-01-01"), day("2025-12-31"));
        let about = TariffHead { version: "v".to_owned(), destination: country("US"), currency, from, until };
        let read = TariffTable::from_csv(about, &format!("{head}{duty}{row}"));
        assert_eq!(read.err().map(|error| error.to_string()).unwrap_or_default(), expected, "{row}");
    }
    let mut tables = TariffTables::default();
    tables.add(table("US", US)).unwrap();
    assert!(tables.add(table("US", US)).is_err());
    tables.add(table("DE", INVENTED)).unwrap();
    assert!(tables.at(country("US"), day("2025-05-14")).is_none());
}

#[test]
fn what_crosses_a_border_is_assessed_with_every_paper_that_it_needs() {
    let mut borders = Borders { rules: ComplianceRules::from_csv(RULES).unwrap(), ..Borders::default() };
    borders.tariffs.add(table("US", US)).unwrap();
    borders.codes = HsTable::from_csv("hscode,description\n851713,Smartphones\n720836,Coils\n050710,Ivory\n").unwrap();
    let on = day("2025-04-10");
    let assess = |goods: &[Goods], papers: &[&str]| {
        borders.assess(goods, country("US"), on, &papers.iter().copied().collect::<BTreeSet<_>>())
    };
    let mut lines = vec![goods("851713", "CN", 1, (0, 1)), goods("7208.36.00", "DE", 100_000, (1, 1))];
    let no_rate = assess(&lines, &[]);
    assert!(matches!(no_rate, Err(AssessmentError::Quote(QuoteError::NoRate { line: 0, .. }))));
    lines[0].hs = "8517.13.00".parse().unwrap();
    let found = assess(&lines, &["commercial_invoice"]).unwrap();
    let (document, restricted, licence) = (RuleKind::Document, RuleKind::Restricted, RuleKind::Licence);
    let findings: Vec<_> = found.findings.iter().map(|of| (of.line, of.id.as_str(), of.kind, of.met)).collect();
    let expected = [
        (0, "invoice", document, true),
        (0, "phones", restricted, false),
        (1, "invoice", document, true),
        (1, "steel", licence, false),
    ];
    assert_eq!((findings.as_slice(), found.may_cross()), (&expected[..], false));
    assert_eq!(found.quote.total_minor, 25_000);
    let steel = assess(&lines[1..], &["commercial_invoice", "steel_import_licence"]).unwrap();
    assert!(steel.may_cross());
    let ivory = assess(&[goods("0507.10.00", "KE", 1, (0, 0))], &["commercial_invoice"]);
    assert!(ivory.is_err() || !ivory.unwrap().may_cross(), "no paper helps");
    lines[1].hs = "7208.99.00".parse().unwrap();
    let unknown = AssessmentError::NoCode { line: 1, hs: lines[1].hs.clone() };
    assert_eq!(assess(&lines, &[]), Err(unknown));
    let elsewhere = borders.assess(&lines[..1], country("FR"), on, &BTreeSet::new());
    assert_eq!(elsewhere, Err(AssessmentError::NoTable { destination: country("FR"), on }));
}

#[test]
fn a_declaration_is_submitted_once_its_papers_are_there_and_a_person_has_looked() {
    let (mut tables, rules) = (TariffTables::default(), ComplianceRules::from_csv(RULES).unwrap());
    tables.add(table("US", US)).unwrap();
    let on = day("2025-04-10");
    let submit = || DeclarationStep::Submit { tables: &tables, rules: &rules, on };
    let lines = vec![goods("851713", "CN", 1, (0, 1)), goods("7208.36.00", "DE", 100_000, (1, 1))];
    let mut declaration = Declaration::draft(country("US"), lines);
    let missing_rate = declaration.take(submit());
    assert!(matches!(missing_rate, Err(DeclarationError::Quote(QuoteError::NoRate { line: 0, .. }))));
    declaration.goods[0].hs = "8517.13.00".parse().unwrap();
    let Err(DeclarationError::Unmet(unmet)) = declaration.take(submit()) else { panic!("submitted without papers") };
    let found: Vec<_> = unmet.iter().map(|finding| (finding.line, finding.id.as_str(), finding.kind)).collect();
    let (document, restricted, licence) = (RuleKind::Document, RuleKind::Restricted, RuleKind::Licence);
    let expected =
        [(0, "invoice", document), (0, "phones", restricted), (1, "invoice", document), (1, "steel", licence)];
    assert_eq!(found, expected);
    for kind in ["commercial_invoice", "steel_import_licence"] {
        let document = Document { kind: kind.to_owned(), reference: "17".to_owned() };
        assert_eq!(declaration.take(DeclarationStep::Attach(document.clone())), Ok(true));
        assert_eq!(declaration.take(DeclarationStep::Attach(document)), Ok(false));
    }
    assert!(matches!(declaration.take(submit()), Err(DeclarationError::Unmet(unmet)) if unmet.len() == 1));
    assert_eq!(declaration.take(DeclarationStep::Review), Ok(true));
    assert_eq!((declaration.take(submit()), declaration.take(submit())), (Ok(true), Ok(false)));
    assert_eq!(declaration.quote.as_ref().map(|quote| quote.total_minor), Some(25_000));
    assert_eq!((declaration.state, declaration.version), (DeclarationState::Submitted, 5));
    let json = serde_json::to_string(&declaration).unwrap();
    assert_eq!(serde_json::from_str::<Declaration>(&json).unwrap(), declaration);
    let mut ivory = Declaration::draft(country("US"), vec![goods("0507.10.00", "KE", 1, (0, 0))]);
    assert_eq!(ivory.take(DeclarationStep::Review), Ok(true));
    assert!(ivory.take(submit()).is_err());
    let papers = BTreeSet::from(["commercial_invoice"]);
    let findings = rules.check(&ivory.goods, country("US"), on, &papers);
    assert_eq!(findings.iter().map(|finding| finding.met).collect::<Vec<_>>(), [true, false]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_parts_add_up_and_the_order_of_lines_changes_nothing(
        lines in prop::collection::vec((0..5_usize, 0..5_usize, 0..1_000_000_000_i64, 0..10_000_000_i64, 0..10_000_i64), 1..20),
        days in 0..132_i64,
    ) {
        let us = table("US", US);
        let codes = ["8517.13.00", "6109.10.00", "0201.10.05", "6402.91.70", "7208.36.00"];
        let origins = ["CN", "HK", "MO", "CA", "VN"];
        let mut lines: Vec<Goods> = lines
            .into_iter()
            .map(|(code, origin, value, grams, items)| goods(codes[code], origins[origin], value, (grams, items)))
            .collect();
        let on = day("2025-01-01") + jiff::Span::new().days(days);
        let quote = us.quote(&lines, on).unwrap();
        for (line, goods) in quote.lines.iter().zip(&lines) {
            let sum = |kind| line.parts.iter().filter(|part| part.kind == kind).map(|part| part.amount_minor).sum::<i64>();
            prop_assert_eq!(sum(PartKind::Duty) + sum(PartKind::Extra), line.duty_minor);
            prop_assert_eq!(sum(PartKind::Tax), line.tax_minor);
            prop_assert!(line.parts.iter().all(|part| part.amount_minor == 0 || part.lifted_by.is_none()));
            prop_assert!(line.parts.iter().all(|part| part.base_minor == goods.value_minor));
        }
        prop_assert_eq!(quote.lines.iter().map(|line| line.duty_minor).sum::<i64>(), quote.duty_minor);
        prop_assert_eq!(quote.duty_minor + quote.tax_minor, quote.total_minor);
        lines.reverse();
        let mut reversed = us.quote(&lines, on).unwrap();
        reversed.lines.reverse();
        prop_assert_eq!(reversed, quote);
    }

    #[test]
    fn random_answers_never_leave_the_table_of_states_nor_an_end(answers in prop::collection::vec(0..7_usize, 0..30)) {
        let (mut tables, rules) = (TariffTables::default(), ComplianceRules::default());
        tables.add(table("US", US)).unwrap();
        let mut declaration = Declaration::draft(country("US"), vec![goods("6109.10.00", "VN", 1, (0, 0))]);
        use DeclarationState::{Cleared, Draft, Held, Refused, Submitted, Withdrawn};
        for answer in answers {
            let before = declaration.clone();
            let (to, step) = match [Draft, Submitted, Held, Cleared, Refused, Withdrawn].get(answer) {
                Some(&to) => (to, DeclarationStep::Answer(to)),
                None => (Submitted, DeclarationStep::Submit { tables: &tables, rules: &rules, on: day("2025-02-01") }),
            };
            let is_submit = answer == 6;
            match declaration.take(step) {
                Ok(true) => {
                    prop_assert!(before.state.leads_to(to) && declaration.state == to);
                    prop_assert_eq!(declaration.version, before.version + 1);
                    prop_assert!(is_submit == (to == Submitted) && declaration.quote.is_some() | (to == Withdrawn));
                }
                Ok(false) => prop_assert!(declaration == before && before.state == to),
                Err(_) => prop_assert!(declaration == before),
            }
            prop_assert!(!matches!(before.state, Cleared | Refused | Withdrawn) || declaration == before);
        }
    }
}
