//! Words that nobody guesses and no other call makes.

use std::{fs::File, io::Read};

/// 32 hexadecimal digits from the kernel.
pub fn random_word() -> std::io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    #[test]
    fn words_differ_and_are_hexadecimal() {
        let (one, two) = (super::random_word().unwrap(), super::random_word().unwrap());
        assert_ne!(one, two);
        for word in [one, two] {
            assert!(word.len() == 32 && word.bytes().all(|c| c.is_ascii_hexdigit()));
        }
    }
}
