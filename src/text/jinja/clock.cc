#include "text/jinja/clock.h"

#include <array>

namespace mm::jinja {
namespace {

constexpr std::array<std::string_view, 7> kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                   "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> kMonths = {
    "January", "February", "March",     "April",   "May",      "June",
    "July",    "August",   "September", "October", "November", "December"};

// The name at `index`, which a host may have left out of range.
template <size_t kSize>
std::string_view name_at(const std::array<std::string_view, kSize>& names, int index) {
  if (index < 0 || index >= static_cast<int>(kSize)) {
    fault("the date given to the template has no day {} of the week or month of that number",
          index);
  }
  return names[static_cast<size_t>(index)];
}

std::string number(int value, int width, bool padded) {
  return padded ? fmt::format("{:0{}}", value, width) : fmt::format("{}", value);
}

std::string convert(char letter, bool padded, const std::tm& time) {
  const int hour12 = time.tm_hour % 12 == 0 ? 12 : time.tm_hour % 12;
  switch (letter) {
    case 'a':
      return std::string(name_at(kDays, time.tm_wday).substr(0, 3));
    case 'A':
      return std::string(name_at(kDays, time.tm_wday));
    case 'b':
      return std::string(name_at(kMonths, time.tm_mon).substr(0, 3));
    case 'B':
      return std::string(name_at(kMonths, time.tm_mon));
    case 'd':
      return number(time.tm_mday, 2, padded);
    case 'e':
      return padded ? fmt::format("{:2}", time.tm_mday) : number(time.tm_mday, 1, false);
    case 'H':
      return number(time.tm_hour, 2, padded);
    case 'I':
      return number(hour12, 2, padded);
    case 'j':
      return number(time.tm_yday + 1, 3, padded);
    case 'm':
      return number(time.tm_mon + 1, 2, padded);
    case 'M':
      return number(time.tm_min, 2, padded);
    case 'p':
      return time.tm_hour < 12 ? "AM" : "PM";
    case 'S':
      return number(time.tm_sec, 2, padded);
    case 'w':
      return number(time.tm_wday, 1, false);
    case 'y':
      return number((time.tm_year % 100 + 100) % 100, 2, padded);
    case 'Y':
      return number(time.tm_year + 1900, 4, false);
    case '%':
      return "%";
    default:
      fault("the date conversion '%{}' is not supported", letter);
  }
}

// What the conversions that stand for several others mean.
std::string_view compound(char letter) {
  switch (letter) {
    case 'c':
      return "%a %b %e %H:%M:%S %Y";
    case 'D':
    case 'x':
      return "%m/%d/%y";
    case 'F':
      return "%Y-%m-%d";
    case 'R':
      return "%H:%M";
    case 'T':
    case 'X':
      return "%H:%M:%S";
    default:
      return {};
  }
}

}  // namespace

void append_time(BoundedString& out, std::string_view format, const std::tm& time) {
  for (size_t at = 0; at < format.size(); ++at) {
    if (format[at] != '%') {
      out.append(1, format[at]);
      continue;
    }
    const bool padded = format.substr(at + 1, 1) != "-";
    at += padded ? 1 : 2;
    if (at >= format.size()) {
      fault("the date format '{}' ends inside a conversion", format.substr(0, 80));
    }
    if (const std::string_view parts = compound(format[at]); !parts.empty()) {
      append_time(out, parts, time);
    } else {
      out.append(convert(format[at], padded, time));
    }
  }
}

}  // namespace mm::jinja
