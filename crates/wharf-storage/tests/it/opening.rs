//! Opening: what is refused, in one sentence, leaving every byte where it was.
