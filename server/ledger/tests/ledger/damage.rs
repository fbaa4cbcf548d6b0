use std::fs;

use dockmaster_ledger::{Ledger, Limits, OpenError};
use dockmaster_tlog::note::{KeyName, SigningKey};
use proptest::prelude::*;

use crate::fixture::{Fixture, commit_each, several, texts};

async fn with_frames(count: usize) -> Fixture {
    let fixture = Fixture::new();
    let ledger = fixture.start();
    commit_each(&ledger, count).await;
    ledger.shutdown().await;
    fixture
}

#[tokio::test]
async fn a_flipped_byte_before_the_last_frame_refuses_and_names_file_and_offset() {
    let fixture = with_frames(3).await;
    let segment = &fixture.segments()[0];
    let good = fs::read(segment).unwrap();
    let frames: Vec<_> = (0..good.len())
        .filter(|&at| good[at..].starts_with(b"DMF1"))
        .collect();
    assert_eq!(frames.len(), 4);
    for at in 0..frames[3] {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        fs::write(segment, &bytes).unwrap();
        let refusal = fixture.refusal();
        let start = frames.iter().rfind(|&&start| start <= at).unwrap();
        let OpenError::Damaged { path, offset, .. } = refusal else {
            panic!("byte {at}: {refusal}");
        };
        assert_eq!((&path, offset), (segment, *start as u64), "byte {at}");
        assert_eq!(fs::read(segment).unwrap(), bytes, "evidence was changed");
    }
    fs::write(segment, &good).unwrap();
    fixture.open().unwrap();
}

#[tokio::test]
async fn a_published_frame_that_is_gone_refuses_and_leaves_the_evidence() {
    let fixture = with_frames(3).await;
    let segment = &fixture.segments()[0];
    let good = fs::read(segment).unwrap();
    fs::write(segment, &good[..good.len() - 1]).unwrap();
    let refusal = fixture.refusal();
    assert!(
        matches!(
            refusal,
            OpenError::LostEnd {
                published: 3,
                size: 2,
                ..
            }
        ),
        "{refusal}"
    );
    assert_eq!(fs::read(segment).unwrap().len(), good.len() - 1);
}

#[tokio::test]
async fn a_missing_segment_refuses() {
    let mut fixture = Fixture::new();
    fixture.limits = Limits {
        segment_bytes: 1_000,
        ..Limits::default()
    };
    fixture
        .faults
        .fail(dockmaster_ledger::Step::Drop, std::io::ErrorKind::Other);
    let ledger = fixture.start();
    commit_each(&ledger, 30).await;
    ledger.shutdown().await;
    let segments = fixture.segments();
    assert!(segments.len() > 3);
    fs::remove_file(&segments[1]).unwrap();
    let refusal = fixture.refusal();
    assert!(
        matches!(&refusal, OpenError::Gap { path, .. } if *path == segments[2]),
        "{refusal}"
    );
    for segment in &segments {
        let _ = fs::remove_file(segment);
    }
    assert!(matches!(fixture.refusal(), OpenError::NotThere { .. }));
}

#[tokio::test]
async fn another_key_refuses() {
    let fixture = with_frames(2).await;
    let name = KeyName::new("example.org/dockmaster-log").unwrap();
    for published in [true, false] {
        if !published {
            fs::remove_file(fixture.public().join("checkpoint")).unwrap();
        }
        let mut config = fixture.config();
        config.key = SigningKey::from_seed(name.clone(), &[8; 32]).into();
        let refusal = Ledger::open(config).err().unwrap();
        assert!(matches!(refusal, OpenError::Checkpoint { .. }), "{refusal}");
    }
}

#[tokio::test]
async fn a_checkpoint_of_another_history_refuses() {
    let fixture = with_frames(3).await;
    let other = Fixture::new();
    let ledger = other.start();
    ledger.commit(several(2)).await.unwrap();
    ledger.shutdown().await;
    // Size 2 is the end of a frame here as well, but the other log is the same up to there.
    let checkpoint = fs::read(other.public().join("checkpoint")).unwrap();
    fs::write(fixture.public().join("checkpoint"), checkpoint).unwrap();
    fixture.open().unwrap();

    let other = Fixture::new();
    let ledger = other.start();
    let entry = dockmaster_ledger::Proposal::of(|_| b"something else".to_vec());
    ledger.commit(entry).await.unwrap();
    ledger.shutdown().await;
    let checkpoint = fs::read(other.public().join("checkpoint")).unwrap();
    fs::write(fixture.public().join("checkpoint"), checkpoint).unwrap();
    let refusal = fixture.refusal();
    assert!(
        matches!(refusal, OpenError::Root { size: 1, .. }),
        "{refusal}"
    );
}

#[tokio::test]
async fn a_lost_bundle_that_the_log_goes_on_from_refuses_and_is_named() {
    let mut fixture = Fixture::new();
    fixture.limits = Limits {
        segment_bytes: 20_000,
        ..Limits::default()
    };
    let ledger = fixture.start();
    for _ in 0..70 {
        ledger.commit(several(17)).await.unwrap();
    }
    ledger.shutdown().await;
    fs::remove_dir_all(fixture.public().join("tile")).unwrap();
    let refusal = fixture.refusal();
    let first = fixture.public().join("tile/entries/000");
    assert!(
        matches!(&refusal, OpenError::Base { path } if *path == first),
        "{refusal}"
    );
}

/// What becomes of a segment that several frames lie in.
#[derive(Debug, Clone)]
enum Harm {
    Flip(prop::sample::Index, u32),
    Cut(prop::sample::Index),
    Remove(prop::sample::Index, prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
    /// A frame once more, or somewhere else.
    Repeat(prop::sample::Index, prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
    Zero(prop::sample::Index, prop::sample::Index),
}

fn harms() -> impl Strategy<Value = Vec<Harm>> {
    let at = any::<prop::sample::Index>;
    let harm = prop_oneof![
        (at(), 0..8_u32).prop_map(|(at, bit)| Harm::Flip(at, bit)),
        at().prop_map(Harm::Cut),
        (at(), at()).prop_map(|(from, to)| Harm::Remove(from, to)),
        (at(), prop::collection::vec(any::<u8>(), 1..20))
            .prop_map(|(at, bytes)| Harm::Insert(at, bytes)),
        (at(), at()).prop_map(|(which, to)| Harm::Repeat(which, to)),
        (at(), at()).prop_map(|(a, b)| Harm::Swap(a, b)),
        (at(), at()).prop_map(|(from, to)| Harm::Zero(from, to)),
    ];
    prop::collection::vec(harm, 1..3)
}

impl Harm {
    fn of(&self, segment: &[u8]) -> Vec<u8> {
        let mut frames: Vec<Vec<u8>> = Vec::new();
        for at in 0..segment.len() {
            if segment[at..].starts_with(b"DMF1") {
                frames.push(Vec::new());
            }
            if let Some(frame) = frames.last_mut() {
                frame.push(segment[at]);
            }
        }
        let mut bytes = segment.to_vec();
        let places = bytes.len() + 1;
        let range = |a: &prop::sample::Index, b: &prop::sample::Index| {
            let (a, b) = (a.index(places), b.index(places));
            a.min(b)..a.max(b)
        };
        match self {
            Self::Cut(at) => bytes.truncate(at.index(places)),
            Self::Insert(at, more) => {
                let at = at.index(places);
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Remove(from, to) => drop(bytes.drain(range(from, to))),
            Self::Zero(from, to) => bytes[range(from, to)].fill(0),
            Self::Flip(at, bit) if !bytes.is_empty() => *at.get_mut(&mut bytes) ^= 1_u8 << *bit,
            Self::Repeat(which, to) if !frames.is_empty() => {
                let frame = which.get(&frames).clone();
                frames.insert(to.index(frames.len() + 1), frame);
                bytes = frames.concat();
            }
            Self::Swap(a, b) if !frames.is_empty() => {
                let (a, b) = (a.index(frames.len()), b.index(frames.len()));
                frames.swap(a, b);
                bytes = frames.concat();
            }
            Self::Flip(..) | Self::Repeat(..) | Self::Swap(..) => {}
        }
        bytes
    }
}

/// Six entries in six frames behind the first, published, and what became of them.
fn harmed(harms: &[Harm]) -> (Fixture, Vec<u8>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let fixture = runtime.block_on(with_frames(6));
    let segment = fixture.segments()[0].clone();
    let good = fs::read(&segment).unwrap();
    let bytes = harms.iter().fold(good, |bytes, harm| harm.of(&bytes));
    fs::write(segment, &bytes).unwrap();
    (fixture, bytes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_harmed_segment_opens_on_a_beginning_of_the_log_or_is_left_as_it_is(
        harms in harms(), published: bool,
    ) {
        let (fixture, bytes) = harmed(&harms);
        if !published {
            fs::remove_dir_all(fixture.public()).unwrap();
            fs::create_dir(fixture.public()).unwrap();
        }
        match fixture.open() {
            Ok(opened) => {
                let size = opened.size();
                drop(opened);
                prop_assert!(size <= 6 && (size == 6 || !published), "{size} entries");
                prop_assert_eq!(fixture.published_entries(), texts(size));
            }
            Err(_) => {
                prop_assert_eq!(fs::read(&fixture.segments()[0]).unwrap(), bytes, "evidence");
            }
        }
    }
}
