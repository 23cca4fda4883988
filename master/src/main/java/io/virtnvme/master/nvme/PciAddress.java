package io.virtnvme.master.nvme;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Where a PCI function is: domain, bus, device, function.
 *
 * @param text as the kernel writes it, for example {@code 0000:5e:00.0}
 */
public record PciAddress(String text) {
  private static final Pattern FORM =
      Pattern.compile("(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([01][0-9a-f])\\.([0-7])");

  /**
   * Reads an address, with or without its domain.
   *
   * @return null when it is none
   */
  public static PciAddress parse(final String address) {
    final Matcher matcher = FORM.matcher(address.toLowerCase(Locale.ROOT));
    if (!matcher.matches()) {
      return null;
    }
    final String domain = matcher.group(1) == null ? "0000" : matcher.group(1);
    return new PciAddress(
        domain + ":" + matcher.group(2) + ":" + matcher.group(3) + "." + matcher.group(4));
  }

  @Override
  public String toString() {
    return text;
  }
}
