//! What the command says without a farm: every help, common mistakes, as transcripts in the folder beside.

#[test]
fn the_command_says_what_is_written_down() {
    let nowhere = std::env::temp_dir().join("atelier-transcripts-nowhere");
    let nowhere = nowhere.display().to_string();
    trycmd::TestCases::new()
        .default_bin_path(env!("CARGO_BIN_EXE_atelier"))
        // A fixed width, and no farm of the caller.
        .env("COLUMNS", "100")
        .env("ATELIER_DATA", &nowhere)
        .env("ATELIER_URL", "")
        .env("ATELIER_PROFILE", "")
        .env("ATELIER_CONFIG", format!("{nowhere}/config.toml"))
        .env("ATELIER_API_KEY", "")
        .env("ATELIER_DATABASE_URL", "")
        .env("ATELIER_ENGINE", "torch")
        .env("ATELIER_ALLOW_TEST_DOUBLE", "")
        .insert_var("[NOWHERE]", nowhere)
        .expect("the name of a placeholder is in brackets")
        .case("tests/transcripts/*.trycmd");
}
