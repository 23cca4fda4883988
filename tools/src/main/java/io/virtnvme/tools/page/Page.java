package io.virtnvme.tools.page;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Locale;

/** An HTML page in the making, in our style. Text is escaped where a method says so. */
public final class Page {
  private static final String STYLE =
      """
      :root{--ink:#1c2430;--dim:#647084;--line:#dfe4ea;--back:#fff;--card:#f6f8fa;--flow:#2f6fb0;
      --gap:#d64545;--good:#1e7f4f}
      *{box-sizing:border-box}
      body{margin:0 auto;padding:32px 24px 64px;max-width:1080px;color:var(--ink);
      background:var(--back);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
      h1{font-size:26px;margin:0 0 4px}h2{font-size:19px;margin:40px 0 8px}
      h3{font-size:15px;margin:0;font-weight:600}p{margin:6px 0}.dim{color:var(--dim)}
      .verdict{display:inline-block;padding:2px 12px;border-radius:12px;color:#fff;font-weight:600;
      background:var(--good)}.verdict.bad{background:var(--gap)}
      .facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;
      margin:20px 0}.fact{background:var(--card);border-radius:8px;padding:12px 14px}
      .fact b{display:block;font-size:22px;line-height:1.25}
      table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
      th,td{text-align:left;padding:6px 10px 6px 0;border-bottom:1px solid var(--line);
      vertical-align:top}th{color:var(--dim);font-weight:500}
      td.n,th.n{text-align:right;white-space:nowrap}
      code{font:13px ui-monospace,Menlo,Consolas,monospace}
      .pair{display:grid;grid-template-columns:1fr 1fr;gap:16px}
      .card{border:1px solid var(--line);border-radius:8px;padding:12px 14px;margin:12px 0}
      svg{display:block;width:100%;height:auto;overflow:visible}
      svg text{font:11px system-ui,sans-serif;fill:var(--dim)}
      @media(max-width:760px){.pair{grid-template-columns:1fr}}
      """;

  private final StringBuilder html = new StringBuilder(1 << 16);

  /** Begins a page; the title is escaped. */
  public Page(final String title) {
    html.append("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    html.append("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n");
    html.append("<title>").append(escape(title)).append("</title>\n<style>\n").append(STYLE);
    html.append("</style>\n</head>\n<body>\n");
  }

  /** Appends as it is. */
  public Page add(final String markup) {
    html.append(markup);
    return this;
  }

  public Page add(final long number) {
    html.append(number);
    return this;
  }

  /** Appends escaped. */
  public Page text(final String text) {
    html.append(escape(text));
    return this;
  }

  /** A figure with its name below, in a {@code facts} grid. */
  public Page fact(final String name, final String value) {
    return add("<div class=\"fact\"><b>").add(value).add("</b>").add(name).add("</div>\n");
  }

  /** A cell of a table, set to the right. */
  public Page number(final String value) {
    return add("<td class=\"n\">").add(value).add("</td>");
  }

  /** Rows of a table from the fields of {@link Machine#describe}; escaped. */
  public Page machine(final JsonNode machine) {
    machine
        .properties()
        .forEach(
            field -> {
              add("<tr><td>").text(field.getKey().replace('_', ' ')).add("</td><td>");
              text(field.getValue().asText()).add("</td></tr>\n");
            });
    return this;
  }

  /** Ends the page. */
  public String end() {
    return html.append("</body>\n</html>\n").toString();
  }

  /** Text that may come from outside, for any place between tags. */
  public static String escape(final String text) {
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
  }

  public static String fixed(final double value, final int digits) {
    return String.format(Locale.ROOT, "%,." + digits + "f", value);
  }

  public static String grouped(final long value) {
    return String.format(Locale.ROOT, "%,d", value);
  }
}
