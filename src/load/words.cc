#include "load/words.h"

#include <array>

namespace mm {

namespace {

constexpr auto kWords = std::to_array<std::string_view>({
    // clang-format off
    "about", "above", "across", "action", "afternoon", "again", "against", "album", "alone",
    "along", "already", "always", "among", "angry", "animal", "another", "answer", "apart", "arm",
    "army", "around", "away", "baby", "back", "bad", "ball", "band", "bank", "bear", "beautiful",
    "bed", "before", "behind", "below", "beside", "best", "better", "between", "beyond", "big",
    "bird", "black", "blood", "blue", "board", "boat", "body", "book", "bottle", "box", "boy",
    "branch", "brave", "bread", "breath", "bridge", "bright", "broken", "brother", "brown",
    "building", "busy", "butter", "call", "camp", "car", "carry", "castle", "cat", "center",
    "chair", "chance", "change", "child", "church", "circle", "city", "class", "clean", "clear",
    "clock", "close", "cloud", "coat", "cold", "color", "common", "cool", "corner", "country",
    "court", "cow", "cross", "crowd", "cup", "dance", "danger", "dark", "daughter", "dead", "deal",
    "dear", "deep", "desk", "dinner", "doctor", "dog", "door", "double", "down", "dream", "dress",
    "drink", "drive", "dry", "early", "earth", "east", "easy", "edge", "egg", "eight", "else",
    "empty", "end", "engine", "enough", "even", "evening", "event", "every", "eye", "face", "fact",
    "fair", "family", "far", "farm", "fast", "father", "feel", "few", "field", "fight", "fine",
    "finger", "fire", "first", "fish", "five", "flat", "floor", "flower", "fly", "food", "foot",
    "for", "forest", "form", "four", "free", "fresh", "friend", "front", "full", "game", "garden",
    "gate", "gentle", "giant", "gift", "girl", "glad", "glass", "gold", "good", "grass", "gray",
    "great", "green", "ground", "group", "hair", "half", "hall", "hand", "happy", "hard", "hat",
    "head", "hear", "heart", "heavy", "help", "here", "high", "hill", "hold", "hole", "home",
    "honest", "honey", "hope", "horse", "hot", "hour", "house", "human", "hundred", "hungry", "ice",
    "idea", "inside", "iron", "island", "job", "journey", "joy", "jump", "just", "kind", "king",
    "kitchen", "knife", "lady", "lake", "lamp", "land", "large", "last", "late", "laugh", "leaf",
    "left", "leg", "letter", "life", "light", "line", "lion", "list", "little", "living", "long",
    "loud", "love", "low", "lucky", "machine", "man", "mark", "market", "meal", "mean", "meat",
    "meeting", "mile", "milk", "mind", "minute", "money", "month", "moon", "moral", "morning",
    "most", "mother", "mountain", "mouth", "much", "music", "name", "near", "neck", "new", "news",
    "next", "nice", "night", "nine", "noise", "north", "nose", "note", "number", "ocean", "off",
    "office", "old", "open", "orange", "order", "other", "outside", "own", "page", "pain", "paper",
    "park", "part", "party", "past", "path", "people", "perfect", "person", "picture", "piece",
    "place", "plain", "plan", "plant", "play", "point", "poor", "power", "present", "pretty",
    "price", "proud", "purple", "queen", "question", "quick", "quiet", "rain", "ready", "real",
    "red", "rest", "rich", "right", "ring", "river", "road", "rock", "roof", "room", "rose",
    "round", "rule", "safe", "sail", "salt", "same", "sand", "school", "sea", "season", "second",
    "secret", "seven", "shape", "sharp", "ship", "shop", "short", "side", "sign", "silent",
    "silver", "simple", "sister", "six", "size", "sky", "sleep", "slow", "small", "smile", "snow",
    "soft", "soldier", "some", "son", "song", "sound", "south", "space", "spring", "square",
    "stand", "star", "state", "station", "step", "stick", "still", "stone", "store", "storm",
    "story", "strange", "street", "strong", "sudden", "sugar", "summer", "sun", "sure", "sweet",
    "table", "tail", "tall", "teacher", "ten", "tent", "thick", "thin", "thing", "thought", "three",
    "ticket", "time", "tired", "top", "touch", "tower", "town", "train", "travel", "tree", "trip",
    "true", "turn", "twelve", "two", "uncle", "under", "up", "valley", "very", "view", "village",
    "voice", "walk", "wall", "war", "warm", "watch", "water", "way", "weather", "week", "well",
    "west", "wet", "wheel", "white", "whole", "wide", "wild", "wind", "window", "wing", "winter",
    "wise", "wolf", "woman", "wonder", "wood", "word", "work", "world", "wrong", "yard", "year",
    "yellow", "young"
    // clang-format on
});

/// Fewer would make prompts that resemble each other.
constexpr size_t kFewestWords = 32;

using Counter = FunctionRef<int64_t(const std::string& text)>;
using Range = std::span<const std::string_view>;

/// Adds the words of a range that are one token each: all of them where the count says so, else
/// those of both halves. `opener_tokens`: the count of the opener alone.
void add_single(Range range, int64_t opener_tokens, Counter count_tokens,
                std::vector<std::string>& found) {
  std::string text(kOpener);
  for (const std::string_view word : range) {
    text += ' ';
    text += word;
  }
  if (count_tokens(text) - opener_tokens == static_cast<int64_t>(range.size())) {
    found.insert(found.end(), range.begin(), range.end());
  } else if (range.size() > 1) {
    const size_t half = range.size() / 2;
    add_single(range.first(half), opener_tokens, count_tokens, found);
    add_single(range.subspan(half), opener_tokens, count_tokens, found);
  }
}

}  // namespace

std::span<const std::string_view> common_words() {
  return kWords;
}

Words assume_words() {
  return {{kWords.begin(), kWords.end()}, false};
}

Words choose_words(Counter count_tokens) {
  Words words{{}, true};
  add_single(kWords, count_tokens(std::string(kOpener)), count_tokens, words.words);
  return words.words.size() < kFewestWords ? assume_words() : words;
}

}  // namespace mm
