//! What a JSON string says.

use std::borrow::Cow;

/// What stands between the quotes of a well-formed string, its escapes replaced; `None` where half a surrogate pair is among them.
pub(super) fn decoded(written: &str) -> Option<Cow<'_, str>> {
    let Some((plain, mut rest)) = written.split_once('\\') else {
        return Some(Cow::Borrowed(written));
    };
    let mut text = String::with_capacity(written.len());
    text.push_str(plain);
    loop {
        let escape = rest.chars().next()?;
        rest = rest.get(1..)?;
        text.push(match escape {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => scalar(&mut rest)?,
            itself => itself,
        });
        let Some((plain, behind)) = rest.split_once('\\') else {
            text.push_str(rest);
            return Some(Cow::Owned(text));
        };
        text.push_str(plain);
        rest = behind;
    }
}

/// The character of a `\u` escape whose digits are next; of two escapes, where the first is half of a pair.
fn scalar(rest: &mut &str) -> Option<char> {
    let first = unit(rest)?;
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first); // none for the second half
    }
    *rest = rest.strip_prefix("\\u")?;
    let second = unit(rest)?;
    if !(0xdc00..0xe000).contains(&second) {
        return None;
    }
    char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))
}

fn unit(rest: &mut &str) -> Option<u32> {
    let (digits, behind) = rest.split_at_checked(4)?;
    *rest = behind;
    u32::from_str_radix(digits, 16).ok()
}
