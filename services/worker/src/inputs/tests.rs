use std::io::Cursor;

use image::{ImageFormat, Rgba, RgbaImage};
use proptest::prelude::*;

use super::*;

fn png(image: &DynamicImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn store() -> (tempfile::TempDir, Artifacts) {
    let dir = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::open(&format!("file://{}", dir.path().display())).unwrap();
    (dir, artifacts)
}

#[tokio::test]
async fn what_was_stored_comes_back_decoded() {
    let (_dir, artifacts) = store();
    let picture = RgbaImage::from_pixel(5, 3, Rgba([1, 2, 3, 128]));
    let bytes = png(&DynamicImage::from(picture.clone()));
    let artifact = artifacts
        .put(bytes.into(), atelier_proto::MediaType::Png)
        .await
        .unwrap();
    let named = NamedReference {
        name: "cat".into(),
        picture: artifact,
    };
    let references = references(&artifacts, &[named]).await.unwrap();
    assert_eq!(references[0].picture, picture);
    let pictures = pictures(&artifacts, &[artifact, artifact]).await.unwrap();
    assert_eq!(pictures[1].get_pixel(4, 2).0, [1, 2, 3]);

    let wanted = Plan::direct("a cat");
    let json = serde_json::to_vec(&wanted).unwrap();
    let artifact = artifacts
        .put(json.into(), atelier_proto::MediaType::Json)
        .await
        .unwrap();
    let plans = Plans::default();
    assert_eq!(*plan(&artifacts, &plans, &artifact).await.unwrap(), wanted);
    // Its second reader needs no store any more.
    artifacts.delete(&artifact).await.unwrap();
    assert_eq!(*plan(&artifacts, &plans, &artifact).await.unwrap(), wanted);
    let another = plan(&artifacts, &Plans::default(), &artifact).await;
    assert!(matches!(
        another,
        Err(InputError::Store(ArtifactError::Missing(_)))
    ));
}

#[tokio::test]
async fn a_missing_artifact_is_the_stores_fault_and_a_large_one_the_jobs() {
    let (_dir, artifacts) = store();
    let mut artifact =
        atelier_platform::artifacts::describe(b"never stored", atelier_proto::MediaType::Png);
    assert!(matches!(
        picture(&artifacts, &artifact).await,
        Err(InputError::Store(ArtifactError::Missing(_)))
    ));
    artifact.bytes = MAX_PICTURE_BYTES + 1;
    assert!(matches!(
        picture(&artifacts, &artifact).await,
        Err(InputError::Invalid(_))
    ));
}

#[test]
fn a_picture_that_claims_to_be_huge_is_refused_before_it_is_decoded() {
    let mut bytes = png(&DynamicImage::from(RgbImage::new(4, 4)));
    // Width in the header: bytes 16..20.
    bytes[16..20].copy_from_slice(&100_000_u32.to_be_bytes());
    assert!(read_picture(&bytes).is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_reading_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read_plan(&bytes);
        let _ = read_picture(&bytes);
    }

    #[test]
    fn no_damage_to_a_good_file_makes_reading_panic(at in any::<prop::sample::Index>(), value in any::<u8>()) {
        let mut picture = png(&DynamicImage::from(RgbImage::new(9, 9)));
        let index = at.index(picture.len());
        picture[index] = value;
        let _ = read_picture(&picture);
        let mut plan = serde_json::to_vec(&Plan::direct("a cat on a hat")).unwrap();
        let index = at.index(plan.len());
        plan[index] = value;
        let _ = read_plan(&plan);
    }
}
