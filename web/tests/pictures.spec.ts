import { gif, type Still } from './film.ts';
import { keep, updating } from './keep.ts';
import { expect, test, type Visitor } from './visitor.ts';

async function doubleClicked(visitor: Visitor): Promise<void> {
  await visitor.open();
  await visitor.pay.dblclick();
  await visitor.oneOfEverything();
  await expect(visitor.audit).toHaveAttribute('data-ok', 'true');
  await visitor.page.mouse.move(2, 2);
  // The drawing plays on after the truth is on screen; the picture is of its end.
  await expect(visitor.page.getByText(/^live · real time/)).toBeVisible();
}

for (const colorScheme of ['light', 'dark'] as const) {
  test.describe(colorScheme, () => {
    test.use({ colorScheme, viewport: { width: 1280, height: 800 }, deviceScaleFactor: 1.5 });
    test(`picture: shop-${colorScheme}.png`, async ({ visitor }) => {
      await doubleClicked(visitor);
      keep(`shop-${colorScheme}.png`, await visitor.page.screenshot({ fullPage: true }));
    });
  });
}

test.describe('phone', () => {
  test.use({ viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true });
  test('picture: shop-phone.png', async ({ visitor }) => {
    await doubleClicked(visitor);
    keep('shop-phone.png', await visitor.page.screenshot());
  });
});

test.describe('projector', () => {
  test.use({ viewport: { width: 1920, height: 1080 } });
  test('picture: shop-projector.png', async ({ visitor }) => {
    await visitor.open();
    await visitor.page.keyboard.press('p');
    await visitor.page.getByRole('button', { name: '50 clicks' }).click();
    await visitor.chargedOnce();
    await visitor.oneOfEverything();
    await visitor.page.evaluate(() => scrollTo(0, 0));
    keep('shop-projector.png', await visitor.page.screenshot());
  });
});

// The shop works at its own speed; only the page's clock is moved by hand, from
// picture to picture, so that the film is smooth on a slow machine too.
test('moving picture: double-click.gif', async ({ visitor }) => {
  test.setTimeout(180_000);
  const { page } = visitor;
  const step = updating ? 80 : 400;
  const stills: Still[] = [];
  const film = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += step) {
      await page.clock.runFor(step);
      stills.push({ png: await page.screenshot(), at: stills.length * step });
    }
  };
  await page.setViewportSize({ width: 1280, height: 770 });
  await page.clock.install();
  await visitor.open();
  await page.clock.pauseAt(Date.now() + 60_000);
  await film(800);
  await visitor.pay.dblclick();
  await page.mouse.move(2, 2);
  await film(5_600);
  await expect(visitor.verdict).toHaveText('You clicked 2 times. You were charged once.');
  keep('double-click.gif', gif(stills, 2_500));
});
