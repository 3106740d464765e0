//! Text out of the HTML that shops keep their descriptions in.

use crate::dataset::rows::one_line;

/// The entities that descriptions use; numbers come on top.
const ENTITIES: [(&str, &str); 16] = [
    ("amp", "&"),
    ("lt", "<"),
    ("gt", ">"),
    ("quot", "\""),
    ("apos", "'"),
    ("nbsp", " "),
    ("ndash", "–"),
    ("mdash", "—"),
    ("lsquo", "‘"),
    ("rsquo", "’"),
    ("ldquo", "“"),
    ("rdquo", "”"),
    ("hellip", "…"),
    ("eacute", "é"),
    ("reg", "®"),
    ("trade", "™"),
];
/// Elements whose content is no text.
const UNREAD: [&str; 2] = ["style", "script"];

/// The text of a piece of HTML, on one line: tags become blanks, entities what they stand for.
#[must_use]
pub fn text_of_html(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find(['<', '&']) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let used = if rest.starts_with('<') { tag(rest) } else { entity(rest) };
        if let Some((letters, length)) = used {
            text.push_str(&letters);
            rest = &rest[length..];
        } else {
            text.push_str(&rest[..1]);
            rest = &rest[1..];
        }
    }
    text.push_str(rest);
    one_line(&text)
}

/// What a tag leaves, and its length; `None` where the `<` begins none, as in "size < 38".
fn tag(rest: &str) -> Option<(String, usize)> {
    let name = rest[1..].trim_start_matches('/');
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '!') {
        return None;
    }
    let mut length = rest.find('>')? + 1;
    let name: String =
        rest[1..].chars().take_while(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    if UNREAD.contains(&name.as_str()) {
        // `to_ascii_lowercase` keeps the places of bytes.
        let end = rest[length..].to_ascii_lowercase().find(&format!("</{name}")).map_or(rest.len(), |end| length + end);
        length = rest[end..].find('>').map_or(rest.len(), |close| end + close + 1);
    }
    Some((" ".to_owned(), length))
}

/// What an entity stands for, and its length.
fn entity(rest: &str) -> Option<(String, usize)> {
    let end = rest.bytes().take(12).position(|byte| byte == b';')?;
    let name = &rest[1..end];
    let letters = match name.strip_prefix('#') {
        Some(number) => {
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code).filter(|c| !c.is_control() || c.is_whitespace())?.to_string()
        }
        None => ENTITIES.iter().find(|(entity, _)| *entity == name)?.1.to_owned(),
    };
    Some((letters, end + 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tags_go_and_entities_become_letters() {
        let html = "<p>Red &amp; white<br/>dress,&nbsp;<b>size &lt; 38</b></p>\n<STYLE>p { x }</Style> 5 < 6 &#233;&#xE9; &x; &";
        assert_eq!(text_of_html(html), "Red & white dress, size < 38 5 < 6 éé &x; &");
        assert_eq!(text_of_html("<script>never closed"), "");
        assert_eq!(text_of_html("a <b never closed"), "a <b never closed");
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(?s)[<>&;#xé a/p!]{0,40}") {
            let read = text_of_html(&text);
            prop_assert_eq!(one_line(&read), read);
        }
    }
}
