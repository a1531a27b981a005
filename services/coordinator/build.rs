//! A changed migration has to be built in again.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
}
