//! Text to selector.

use super::{BuiltIn, Expression, Key, MAX_LEN, Term, Test};
use crate::label::{MAX_KEY, is_key_byte};

/// How deep parentheses may nest: the parser and the matcher recurse.
const MAX_DEPTH: usize = 16;

/// Why a text is no selector, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// Longer than [`MAX_LEN`].
    #[error("the selector is longer than 8192 bytes")]
    TooLong,
    /// Parentheses nest too deep.
    #[error("the selector nests more than 16 parentheses; write it flatter")]
    TooDeep,
    /// Something else was expected at this place.
    #[error("column {column} of selector {text:?}: expected {expected}")]
    Expected {
        /// What should have stood there.
        expected: &'static str,
        /// Counted from 1, in characters.
        column: usize,
        /// The whole text.
        text: String,
    },
}

pub(super) fn parse(text: &str) -> Result<Expression, SelectorError> {
    if text.len() > MAX_LEN {
        return Err(SelectorError::TooLong);
    }
    let mut parser = Parser { text, at: 0 };
    parser.skip_space();
    if parser.rest().is_empty() {
        return Ok(Expression::All(Vec::new()));
    }
    let expression = parser.any(0)?;
    if !parser.rest().is_empty() {
        return Err(parser.expected("',' or 'or' or the end"));
    }
    Ok(expression)
}

pub(super) fn is_bare_value(value: &str) -> bool {
    !value.is_empty() && value != "or" && value.bytes().all(is_value_byte)
}

const fn is_value_byte(byte: u8) -> bool {
    is_key_byte(byte) || matches!(byte, b':' | b'*' | b'?' | b'@')
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn any(&mut self, depth: usize) -> Result<Expression, SelectorError> {
        if depth > MAX_DEPTH {
            return Err(SelectorError::TooDeep);
        }
        let mut parts = vec![self.all(depth)?];
        while self.word("or") {
            parts.push(self.all(depth)?);
        }
        Ok(one_or(parts, Expression::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Expression, SelectorError> {
        let mut parts = vec![self.term(depth)?];
        while self.symbol(",") {
            parts.push(self.term(depth)?);
        }
        Ok(one_or(parts, Expression::All))
    }

    fn term(&mut self, depth: usize) -> Result<Expression, SelectorError> {
        if self.symbol("(") {
            let inner = self.any(depth + 1)?;
            self.demand(")", "')'")?;
            return Ok(inner);
        }
        if self.symbol("!") {
            let key = self.key()?;
            return Ok(Expression::Term(Term {
                key,
                test: Test::Absent,
            }));
        }
        let key = self.key()?;
        let start = self.at;
        let test = self.test()?;
        if matches!(key, Key::BuiltIn(BuiltIn::Ip)) && !ips_are_valid(&test) {
            self.at = start;
            return Err(self.expected("an IP or a CIDR range such as 10.0.0.0/8"));
        }
        Ok(Expression::Term(Term { key, test }))
    }

    fn test(&mut self) -> Result<Test, SelectorError> {
        if self.symbol("!=") {
            return Ok(Test::NotIn(vec![self.value()?]));
        }
        if self.symbol("==") || self.symbol("=") {
            return Ok(Test::In(vec![self.value()?]));
        }
        if self.symbol("<") {
            return self.number().map(Test::Less);
        }
        if self.symbol(">") {
            return self.number().map(Test::Greater);
        }
        if self.word("notin") {
            return self.set().map(Test::NotIn);
        }
        if self.word("in") {
            return self.set().map(Test::In);
        }
        Ok(Test::Exists)
    }

    fn key(&mut self) -> Result<Key, SelectorError> {
        let start = self.at;
        let is_built_in = self.rest().starts_with('@');
        if is_built_in {
            self.at += 1;
        }
        let name_start = self.at;
        self.at += self
            .rest()
            .bytes()
            .take_while(|byte| is_key_byte(*byte))
            .count();
        let (key, name) = (&self.text[start..self.at], &self.text[name_start..self.at]);
        let wrong = |parser: &mut Self, expected| {
            parser.at = start;
            Err(parser.expected(expected))
        };
        if is_built_in {
            let Some(built_in) = BuiltIn::ALL.into_iter().find(|known| known.as_str() == key)
            else {
                return wrong(self, "one of @id @name @host @image @network @ip");
            };
            self.skip_space();
            return Ok(Key::BuiltIn(built_in));
        }
        if name.is_empty() || name.len() > MAX_KEY || !name.as_bytes()[0].is_ascii_alphanumeric() {
            return wrong(self, "a label key, '!' or '('");
        }
        self.skip_space();
        Ok(Key::Label(key.to_owned()))
    }

    fn value(&mut self) -> Result<String, SelectorError> {
        let value = if self.rest().starts_with('"') {
            self.quoted()?
        } else {
            let length = self
                .rest()
                .bytes()
                .take_while(|byte| is_value_byte(*byte))
                .count();
            let value = self.rest()[..length].to_owned();
            self.at += length;
            value
        };
        self.skip_space();
        Ok(value)
    }

    fn quoted(&mut self) -> Result<String, SelectorError> {
        let mut value = String::new();
        let mut characters = self.rest().char_indices().skip(1);
        while let Some((offset, character)) = characters.next() {
            match character {
                '"' => {
                    self.at += offset + 1;
                    return Ok(value);
                }
                '\\' => match characters.next() {
                    Some((_, escaped @ ('"' | '\\'))) => value.push(escaped),
                    _ => break,
                },
                other => value.push(other),
            }
        }
        Err(self.expected("a closed string: \"…\" with \\\" and \\\\ inside"))
    }

    fn number(&mut self) -> Result<i64, SelectorError> {
        let length = self
            .rest()
            .bytes()
            .take_while(|b| b.is_ascii_digit() || *b == b'-')
            .count();
        let Ok(number) = self.rest()[..length].parse() else {
            return Err(self.expected("a whole number"));
        };
        self.at += length;
        self.skip_space();
        Ok(number)
    }

    fn set(&mut self) -> Result<Vec<String>, SelectorError> {
        self.demand("(", "'(' and values")?;
        let mut values = vec![self.value()?];
        while self.symbol(",") {
            values.push(self.value()?);
        }
        self.demand(")", "',' or ')'")?;
        Ok(values)
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        let found = self.rest().starts_with(symbol);
        if found {
            self.at += symbol.len();
            self.skip_space();
        }
        found
    }

    /// A key word stands alone: `in(` and `in (` are the operator, `input` is not.
    fn word(&mut self, word: &str) -> bool {
        let Some(after) = self.rest().strip_prefix(word) else {
            return false;
        };
        if after.bytes().next().is_some_and(is_value_byte) {
            return false;
        }
        self.symbol(word)
    }

    fn demand(&mut self, symbol: &str, expected: &'static str) -> Result<(), SelectorError> {
        if self.symbol(symbol) {
            Ok(())
        } else {
            Err(self.expected(expected))
        }
    }

    fn skip_space(&mut self) {
        let trimmed = self.rest().trim_start();
        self.at = self.text.len() - trimmed.len();
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn expected(&self, expected: &'static str) -> SelectorError {
        let column = self.text[..self.at].chars().count() + 1;
        SelectorError::Expected {
            expected,
            column,
            text: self.text.to_owned(),
        }
    }
}

fn one_or(mut parts: Vec<Expression>, many: fn(Vec<Expression>) -> Expression) -> Expression {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            many(parts)
        }
        None => many(parts),
    }
}

fn ips_are_valid(test: &Test) -> bool {
    match test {
        Test::In(values) | Test::NotIn(values) => values
            .iter()
            .all(|value| super::matching::ip_range(value).is_some()),
        Test::Exists | Test::Absent => true,
        Test::Less(_) | Test::Greater(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Selector;

    #[test]
    fn selectors_print_as_written() {
        for text in [
            "",
            "role",
            "!canary",
            "role=web",
            "role!=web",
            "tier in (front, edge), !canary",
            "tier notin (a, b)",
            "cpu>2",
            "cpu<-1",
            "a=1 or b=2, c",
            "(a=1 or b=2), c",
            "@ip in (10.0.0.0/8, fd00::1)",
            "@image=nginx:*",
            "note=\"a b\\\"c\"",
            "com.docker.compose.service=web",
            "a=\"\"",
            "a=\"or\"",
        ] {
            assert_eq!(text.parse::<Selector>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn spaces_and_double_equals_are_as_in_kubernetes() {
        assert_eq!(
            " role == web ,tier in(a,b)"
                .parse::<Selector>()
                .unwrap()
                .to_string(),
            "role=web, tier in (a, b)"
        );
        assert_eq!(
            "input=1".parse::<Selector>().unwrap().to_string(),
            "input=1"
        );
        assert_eq!(
            "order or other".parse::<Selector>().unwrap().to_string(),
            "order or other"
        );
    }

    #[test]
    fn an_error_says_where_and_what_was_expected() {
        for (text, column) in [
            ("role=web,", 10),
            ("tier in (a", 11),
            ("a b", 3),
            ("@ipp=1", 1),
            ("cpu>many", 5),
            ("@ip=nonsense", 4),
            ("(a", 3),
            ("a=\"x", 3),
        ] {
            let error = text.parse::<Selector>().unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("column {column} of")),
                "{text}: {error}"
            );
        }
        let deep = format!("{}a{}", "(".repeat(40), ")".repeat(40));
        assert!(
            deep.parse::<Selector>()
                .unwrap_err()
                .to_string()
                .contains("nests")
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,80}") {
            let _ = text.parse::<Selector>();
        }

        #[test]
        fn what_parses_prints_to_an_equal_selector(text in "[(]?[!@]?[a-c]{1,3} ?(=|!=|in|notin|<|,|or)? ?[(]?[a-z0-9:*\"]{0,4}[)]?( or |, )?[a-b]?[)]?") {
            if let Ok(selector) = text.parse::<Selector>() {
                prop_assert_eq!(selector.to_string().parse::<Selector>().unwrap(), selector);
            }
        }
    }
}
