package io.virtnvme.tools.page;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Assumptions;

/** A page as a browser without a screen shows it. */
public final class Screenshot {
  private Screenshot() {}

  /** Skips the test where there is no browser. */
  public static BufferedImage take(
      final String html, final Path folder, final int width, final int height)
      throws IOException, InterruptedException {
    final Path browser = browser();
    Assumptions.assumeTrue(browser != null, "no Chromium on this machine");
    final Path page = folder.resolve("page.html");
    Files.writeString(page, html);
    final File picture = folder.resolve("page.png").toFile();
    final Process process =
        new ProcessBuilder(
                browser.toString(),
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--user-data-dir=" + folder.resolve("profile"),
                "--window-size=" + width + "," + height,
                "--screenshot=" + picture,
                page.toUri().toString())
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve("browser.log").toFile())
            .start();
    try {
      assertTrue(process.waitFor(2, TimeUnit.MINUTES), "the browser does not end");
    } finally {
      process.destroyForcibly();
    }
    assertTrue(picture.exists(), Files.readString(folder.resolve("browser.log")));
    final BufferedImage image = ImageIO.read(picture);
    assertEquals(width, image.getWidth());
    return image;
  }

  private static Path browser() {
    for (final String name : List.of("chromium", "chromium-browser", "google-chrome")) {
      final Path path = Path.of("/usr/bin").resolve(name);
      if (Files.isExecutable(path)) {
        return path;
      }
    }
    return null;
  }

  /** Pixels of nearly this colour. */
  public static int count(final BufferedImage image, final int rgb) {
    int count = 0;
    for (int y = 0; y < image.getHeight(); y++) {
      for (int x = 0; x < image.getWidth(); x++) {
        final int pixel = image.getRGB(x, y);
        if (distance(pixel, rgb, 16) + distance(pixel, rgb, 8) + distance(pixel, rgb, 0) <= 6) {
          count++;
        }
      }
    }
    return count;
  }

  private static int distance(final int a, final int b, final int shift) {
    return Math.abs((a >> shift & 0xff) - (b >> shift & 0xff));
  }
}
